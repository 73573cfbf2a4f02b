"""What a study would run, and what that costs: `make plan STUDY=config/studies/mine.yaml GPUS=8 CPUS=64`."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lottery import planning
from lottery.addresses import FILES
from lottery.errors import InputError
from lottery.pieces import pieces
from lottery.planning import Planned
from lottery.schemas import read_yaml
from lottery.study import Study, read_study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="a study's config file")
    parser.add_argument("--gpus", type=float, default=8)
    parser.add_argument("--cpus", type=float, default=os.cpu_count())
    asked = parser.parse_args()
    if not asked.study.exists():
        named = Path("config/studies") / f"{asked.study}.yaml"
        if not named.exists():
            sys.exit(f"error: STUDY: found {asked.study}, which is no file; allowed: a study's config file")
        asked.study = named
    try:
        study = read_study(read_yaml(asked.study), Path("config"))
    except InputError as error:
        sys.exit(f"error: {error}")
    todo = pending(asked.study)
    every = planning.trainings(study)
    report(study, every, {run: one for run, one in every.items() if run in todo}, asked)


def pending(path: Path) -> set[str]:
    """The directories of the trainings that a dry run would run."""
    command = [sys.executable, "-m", "snakemake", "--summary", "--configfile", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        sys.exit(told.stdout + told.stderr)
    rows = [line.split("\t") for line in told.stdout.splitlines()]
    return {
        row[0].rpartition("/")[0]
        for row in rows
        if row[0].endswith(f"/{FILES['metrics']}") and row[-1] == "update pending"
    }


def report(
    study: Study, every: Mapping[str, Planned], todo: Mapping[str, Planned], asked: argparse.Namespace
) -> None:
    costs = planning.Costs(study, planning.records(Path("results")))
    known = {run: costs.seconds(one) for run, one in todo.items()}
    alone = planning.asked_for(study)
    print(f"study {study.name}: {len(every):,} trainings, {alone:,} if curves shared none")
    if jobs := {one.address for entry in study.analyses.values() for one in pieces(study.asked(), entry)}:
        print(f"analyses: {len(jobs):,} jobs, whose time is not counted")
    print(f"done already: {len(every) - len(todo):,}; would run: {len(todo):,}\n")
    print(f"{'task':28} {'to run':>7} {'done':>7} {'each':>10} {'in all':>10}  time is")
    for task in sorted({one.task for one in every.values()}):
        mine = [run for run, one in todo.items() if one.task == task]
        done = sum(one.task == task for one in every.values()) - len(mine)
        total = sum(known[run] or 0.0 for run in mine)
        times = (words(total / len(mine)), words(total)) if total else ("-", "-")
        print(f"{task:28} {len(mine):>7,} {done:>7,} {times[0]:>10} {times[1]:>10}  {costs.source(task)}")
    if todo:
        schedule(study, todo, {run: (known[run] or 0.0) + planning.JOB_SECONDS for run in todo}, asked)
        print(f"disk           {sum(costs.size(one) for one in todo.values()) / 1e9:,.2f} GB more")
    if None in known.values():
        print("\nUnknown times are left out: train one, or give `hours` in config/resources.yaml.")


def schedule(
    study: Study, todo: Mapping[str, Planned], seconds: Mapping[str, float], asked: argparse.Namespace
) -> None:
    """Print hours of work, the longest chain, and when all has ended on the devices given, and on more."""
    kinds = {run: "GPU" if study.resources[one.task]["gpu"] else "core" for run, one in todo.items()}
    share = {run: devices(study.resources[one.task]) for run, one in todo.items()}
    print()
    for kind, given in (("GPU", asked.gpus), ("core", asked.cpus)):
        mine = [run for run in todo if kinds[run] == kind]
        if mine:
            if max(share[run] for run in mine) > given:
                sys.exit(
                    f"error: a training needs {max(share[run] for run in mine):g} {kind}s, {given:g} given"
                )
            work = sum(seconds[run] * share[run] for run in mine) / 3600
            print(f"{kind + '-hours':14} {work:,.1f}")
    lengths = planning.chain_lengths(todo, seconds)
    first = max(lengths, key=lengths.__getitem__)
    print(f"longest chain  {words(lengths[first])}, from {first}")
    for factor in (1, 4, 16):
        free = {"GPU": asked.gpus * factor, "core": asked.cpus * factor}
        used = [f"{free[kind]:g} {kind}s" for kind in free if kind in kinds.values()]
        wall = planning.simulate(todo, seconds, kinds, free, share)
        print(f"{'wall time' if factor == 1 else '':14} {words(wall)} on {' and '.join(used)}")


def devices(resources: Mapping[str, int]) -> float:
    """How many GPUs, or else cores, one training holds."""
    return resources["gpu"] / resources["pack"] if resources["gpu"] else resources["threads"]


def words(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"


main()
