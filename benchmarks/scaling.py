"""When a study as large as One ticket to win them all (Morcos et al. 2019) would end on 1 to 1,000 GPUs.

    python benchmarks/scaling.py

In the paper's shape: two networks, six seeds, lineages of 30 levels; transfers and random tickets at 14
levels. Hours per training are estimates for one A100; nothing is trained.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow_scripts"))

from lottery import planning
from lottery.planning import Planned

LEVELS = 30
EVALUATED = [*range(1, 7), *range(9, 31, 3)]
# hours of one training: VGG19, ResNet50
SMALL = {"cifar10": (0.10, 0.12), "cifar100": (0.10, 0.12), "svhn": (0.15, 0.18), "fashion": (0.12, 0.14)}
LARGE = {"imagenet": (63.0, 11.0), "places365": (89.0, 15.5)}
SEEDS, NETWORKS = 6, ("vgg19", "resnet50")


def study(data: dict[str, tuple[float, float]]) -> tuple[dict[str, Planned], dict[str, float]]:
    """Run -> training, run -> seconds: every source's tickets on every target, and random tickets."""
    todo: dict[str, Planned] = {}
    seconds: dict[str, float] = {}

    def add(run: str, task: str, kind: str, after: str | None, hours: float) -> str:
        todo[run] = Planned(run, task, kind, after)
        seconds[run] = 3600 * hours + planning.JOB_SECONDS
        return run

    for column, network in enumerate(NETWORKS):
        for seed in range(SEEDS):
            for source in data:
                chain = [add(f"{network}/{source}/{seed}/0", source, "dense", None, data[source][column])]
                for level in range(1, LEVELS + 1):
                    run = f"{network}/{source}/{seed}/{level}"
                    chain.append(add(run, source, "lineage", chain[-1], data[source][column]))
                for target in data:
                    for level in EVALUATED:
                        hours, run = data[target][column], f"{network}/{source}/{seed}/{level}/{target}"
                        if target == source:
                            add(f"{run}/random", target, "random", None, hours)
                        else:
                            add(run, target, "ticket", chain[level - 1], hours)
    return todo, seconds


def main() -> None:
    for name, data in (("four small data sets", SMALL), ("with ImageNet and Places365", SMALL | LARGE)):
        todo, seconds = study(data)
        work = sum(seconds.values()) / 3600
        chain = max(planning.chain_lengths(todo, seconds).values()) / 3600
        print(f"\n{name}: {len(todo):,} trainings, {work:,.0f} GPU-hours, longest chain {chain:,.1f} h\n")
        print("| GPUs | wall time | of the GPUs busy | simulated in |")
        print("|---:|---:|---:|---:|")
        for gpus in (1, 8, 64, 256, 1000):
            began = time.perf_counter()
            kinds, share = dict.fromkeys(todo, "GPU"), dict.fromkeys(todo, 1.0)
            wall = planning.simulate(todo, seconds, kinds, {"GPU": gpus}, share) / 3600
            took = time.perf_counter() - began
            print(f"| {gpus:,} | {wall:,.1f} h | {work / gpus / wall:.0%} | {took:.2f} s |")


main()
