"""What a study would cost: its trainings, their hours and files, and when they end on so many GPUs."""

import heapq
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import mean

from . import addresses, runs
from .addresses import FILES, dense, lineage, origin
from .criteria import SCORED
from .seeds import seed_for
from .study import Curve, Study
from .tickets import RANDOM

JOB_SECONDS = 2.0  # what a training costs beside itself, measured in benchmarks/workflow.py


@dataclass(frozen=True)
class Planned:
    """A training. kind: dense, lineage, ticket or random; after: what must have ended before it, or None."""

    run: str
    task: str
    kind: str
    after: str | None


def trainings(study: Study) -> dict[str, Planned]:
    """Directory of a run -> its training, for all that a study asks for."""
    found: dict[str, Planned] = {}

    def add(run: str, task: str, after: str | None) -> None:
        found[run] = Planned(run, task, addresses.kind(run), after)

    for curve in study.curves.values():
        for seed in study.seeds:
            if curve.ticket != RANDOM:
                if _needs_dense(study, curve):
                    add(dense(curve.source, seed), curve.source, None)
                for level in _lineage_levels(study, curve):
                    run = lineage(curve.source, curve.recipe, seed, level)
                    add(run, curve.source, _trained_before(study, curve, seed, level))
            if curve.copy or not curve.own:
                for level in curve.levels:
                    alone = curve.ticket == RANDOM or curve.is_dense(level)
                    before = None if alone else _trained_before(study, curve, seed, level)
                    add(curve.run(seed, level), curve.task, before)
    return found


def _needs_dense(study: Study, curve: Curve) -> bool:
    """Whether a curve reads its source's dense run: as its level 0, or for its masks or its start."""
    recipe = study.recipes[curve.recipe]
    untrained = recipe["criterion"] in SCORED and recipe["rewind"]["weights"] == "init"
    return not untrained or (0 in curve.levels and not curve.copy)


def _lineage_levels(study: Study, curve: Curve) -> Iterable[int]:
    """The levels of its lineage that a curve needs trained."""
    if study.recipes[curve.recipe]["iterative"]:
        return range(1, max(curve.levels) + 1)
    return [level for level in curve.levels if level > 0 and curve.own and not curve.copy]


def _trained_before(study: Study, curve: Curve, seed: int, level: int) -> str | None:
    """The training that a level's mask is made from; of level 0, the dense one that is rewound."""
    if level == 0:
        return dense(curve.source, seed)
    made = origin(curve.source, curve.recipe, study.recipes[curve.recipe], seed, level)
    return made.trained or (dense(curve.source, seed) if made.start.point else None)


def asked_for(study: Study) -> int:
    """Trainings if every curve had its own."""
    return sum(len(trainings(replace(study, curves={name: curve}))) for name, curve in study.curves.items())


@dataclass(frozen=True)
class Record:
    """What a run took: seconds, and bytes that stay on disk."""

    task: str
    kind: str
    seconds: float
    size: int


def records(results: Path) -> list[Record]:
    """Of all finished trainings."""
    found = []
    for path in results.glob(f"*/**/{FILES['provenance']}"):
        kind, task = path.relative_to(results).parts[:2]
        size = sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file())
        found.append(Record(task, kind, json.loads(path.read_text())["seconds"], size))
    return found


class Costs:
    """Seconds and bytes of a training: recorded ones of its task, else `hours` of config/resources.yaml and
    the size of its network."""

    def __init__(self, study: Study, known: Iterable[Record]) -> None:
        self.study = study
        self.by_kind: dict[tuple[str, str], list[Record]] = defaultdict(list)
        self.by_task: dict[str, list[Record]] = defaultdict(list)
        for record in known:
            self.by_kind[record.task, record.kind].append(record)
            self.by_task[record.task].append(record)

    def seconds(self, one: Planned) -> float | None:
        """None if nothing is known of the task."""
        known = self.by_kind.get((one.task, one.kind)) or self.by_task.get(one.task)
        if known:
            return mean(record.seconds for record in known)
        hours = self.study.resources[one.task].get("hours")
        return None if hours is None else 3600 * hours

    def source(self, task: str) -> str:
        """Where the seconds of a task are from."""
        if task in self.by_task:
            return "recorded"
        return "estimate" if "hours" in self.study.resources[task] else "unknown"

    def size(self, one: Planned) -> int:
        known = self.by_kind.get((one.task, one.kind))
        if known:
            return round(mean(record.size for record in known))
        weights = 4 * _parameters(json.dumps(self.study.tasks[one.task]))
        if one.kind == "dense":  # init, the end, and each rewind point
            return weights * (2 + len(self.study.tasks[one.task]["rewind_points"]))
        return weights // 32 if one.kind == "lineage" else 0  # a mask has a bit for a weight


@cache
def _parameters(task: str) -> int:
    entry = json.loads(task)
    network = runs.family(entry["family"]).initialise(entry, seed_for(1, "init"))
    return int(network.parameters)


def simulate(
    todo: Mapping[str, Planned],
    seconds: Mapping[str, float],
    slots: Mapping[str, str],
    free: Mapping[str, float],
    share: Mapping[str, float],
) -> float:
    """Seconds until all is trained, longest chain first, with so many devices of each kind.

    slots: run -> kind of device; share: run -> devices it holds; free: kind -> devices there are
    """
    followers: dict[str, list[str]] = defaultdict(list)
    for run, one in todo.items():
        followers[one.after or ""].append(run)
    length = chain_lengths(todo, seconds)
    left = dict(free)
    ready: dict[str, list[tuple[float, str]]] = {kind: [] for kind in free}
    ends: list[tuple[float, str]] = []
    now = 0.0

    def start() -> None:
        for kind, waiting in ready.items():
            while waiting and left[kind] >= share[waiting[0][1]] - 1e-9:
                run = heapq.heappop(waiting)[1]
                left[kind] -= share[run]
                heapq.heappush(ends, (now + seconds[run], run))

    for run, one in todo.items():
        if one.after not in todo:
            heapq.heappush(ready[slots[run]], (-length[run], run))
    start()
    while ends:
        now, run = heapq.heappop(ends)
        left[slots[run]] += share[run]
        for follower in followers[run]:
            heapq.heappush(ready[slots[follower]], (-length[follower], follower))
        start()
    return now


def chain_lengths(todo: Mapping[str, Planned], seconds: Mapping[str, float]) -> dict[str, float]:
    """Run -> seconds from its start to the end of the longest chain that it begins."""
    length = dict(seconds)
    for run in sorted(todo, key=lambda run: _depth(todo, run), reverse=True):
        after = todo[run].after
        if after is not None and after in todo:
            length[after] = max(length[after], seconds[after] + length[run])
    return length


def _depth(todo: Mapping[str, Planned], run: str) -> int:
    depth, after = 0, todo[run].after
    while after is not None and after in todo:
        depth, after = depth + 1, todo[after].after
    return depth
