"""The book of addresses: every path under `results/`, and what a level is made from.

A run is named by what it is, never by the figure that wants it: the dense run by task and seed; a lineage's
levels by task, recipe and seed; a ticket made from a lineage's mask, or of level 0 from the dense network
rewound, also by what it is trained on; the random ticket by target, ladder and seed. An address takes plain
values or, for a rule's pattern, wildcards such as `{task}`. `copy` is what follows the address of the first
training: nothing, or `/copy1`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .criteria import SCORED

RESULTS = "results"

FILES = {
    "init": "init.safetensors",  # a dense run's starting weights
    "init_record": "init.json",
    "rewind": "rewind.safetensors",  # its weights at every rewind point
    "optimizer": "optimizer.safetensors",  # and the optimizer's state there, where a recipe reads it
    "optimizer_record": "optimizer.json",
    "trained": "trained.safetensors",  # a level's final weights until the next mask is made
    "weights": "weights.safetensors",  # final weights that are kept
    "weights_record": "weights.json",
    "mask": "mask.npz",
    "pruning": "pruning.json",
    "metrics": "metrics.json",
    "curve": "curve.csv",
    "provenance": "provenance.json",  # how a run came about: starts nothing, decides nothing
    "arrays": "arrays.safetensors",  # beside the metrics of a run that measures more than numbers
    "checkpoint": "checkpoint.safetensors",
}


def files(run: str, *names: str) -> dict[str, str]:
    """Name -> path, of files of a run."""
    return {name: f"{run}/{FILES[name]}" for name in names}


def file(run: str, name: str) -> str:
    return f"{run}/{FILES[name]}"


def copy_of(number: int) -> str:
    """How the address of a second training of the same start ends; 0 is the first."""
    return f"/copy{number}" if number else ""


def copy_number(copy: str) -> int:
    """The inverse of `copy_of`."""
    return int(copy.removeprefix("/copy") or 0)


def _level(level: int | str) -> str:
    return f"level{level:02d}" if isinstance(level, int) else f"level{level}"


def dense(task: str, seed: int | str, copy: str = "") -> str:
    return f"{RESULTS}/dense/{task}/seed{seed}{copy}"


def lineage(task: str, recipe: str, seed: int | str, level: int | str, copy: str = "") -> str:
    return f"{RESULTS}/lineage/{task}/{recipe}/seed{seed}/{_level(level)}{copy}"


def ticket(
    task: str, source: str, recipe: str, kind: str, seed: int | str, level: int | str, copy: str = ""
) -> str:
    return f"{RESULTS}/ticket/{task}/{source}/{recipe}/{kind}/seed{seed}/{_level(level)}{copy}"


def random(task: str, ladder: str, seed: int | str, level: int | str, copy: str = "") -> str:
    return f"{RESULTS}/random/{task}/{ladder}/seed{seed}/{_level(level)}{copy}"


def kind(run: str) -> str:
    """dense, lineage, ticket or random: what the run at an address is."""
    return run.split("/")[1]


def analysis(name: str, options: Mapping[str, Any], run: str) -> str:
    """What an analysis found of the run at an address: `results/analysis/barrier-points-30/lineage/...`."""
    said = "".join(f"-{key}-{quote(_text(value), safe='')}" for key, value in sorted(options.items()))
    return piece(f"{name}{said}/{run.removeprefix(f'{RESULTS}/')}")


def piece(name: str) -> str:
    """The file of one job of an analysis, by what follows in its address."""
    return f"{RESULTS}/analysis/{name}.json"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def data(dataset: str, suffix: str) -> str:
    """A prepared data set; suffix: of the file, or nothing for a folder."""
    return f"{RESULTS}/data/{dataset}{suffix}"


def data_record(dataset: str) -> str:
    return f"{RESULTS}/data/{dataset}.json"


def chance(task: str) -> str:
    """What a network of the task reaches that learned nothing."""
    return f"{RESULTS}/chance/{task}.json"


def tables(study: str) -> str:
    return f"{RESULTS}/tables/{study}"


def table(study: str, name: str) -> str:
    return f"{tables(study)}/{name}.csv"


def claims_page(study: str) -> str:
    """The claims of a study, graded, to read."""
    return f"{tables(study)}/claims.html"


def asked(study: str, digest: str) -> str:
    """What the tables of a study were made for: of another name where the study asks for something else."""
    return f"{tables(study)}/asked-{digest}.json"


def stale(study: str, analysis: str = "") -> str:
    """Names the files to make again where tables, or that of an analysis, were refused."""
    return f"{tables(study)}/{'-'.join(filter(None, ('stale', analysis)))}.txt"


def partial(study: str) -> str:
    """Tables and figures of a study that is not done."""
    return f"{RESULTS}/partial/{study}"


def figure(study: str, name: str, suffix: str = "") -> str:
    return f"{RESULTS}/figures/{study}/{name}{suffix}"


def log(address: str) -> str:
    """The log of the job that makes what is at an address under `results/`."""
    return f"{RESULTS}/logs/{address.removeprefix(f'{RESULTS}/').removesuffix('.json')}.log"


def benchmark(run: str) -> str:
    return f"{RESULTS}/benchmarks/{run.removeprefix(f'{RESULTS}/')}.tsv"


@dataclass(frozen=True)
class Place:
    """Weights: a file, and the rewind point in it if it holds several."""

    file: str
    point: str | None = None


@dataclass(frozen=True)
class Origin:
    """What a level is made from.

    trained: the run that is pruned; None where the level's start is scored, before any training
    weights: the file with its final weights, or with the start
    began:   the weights that run began with, less those that `before` prunes; or the start
    before:  the level in whose mask this one is nested, or None
    start:   the weights that the level's own training begins with
    """

    trained: str | None
    weights: str
    began: Place
    before: str | None
    start: Place


def rewound(task: str, seed: int | str, point: str) -> Place:
    """The weights of a dense run at `init` or a rewind point."""
    whole = dense(task, seed)
    return Place(file(whole, "init")) if point == "init" else Place(file(whole, "rewind"), point)


def origin(task: str, recipe: str, entry: Mapping[str, Any], seed: int | str, level: int) -> Origin:
    """What a level of a lineage is made from; `entry` is the recipe's.

    Level 1, and every level of one-shot pruning, is pruned from the dense run, other levels from the one
    before; where the criterion looks at data, every level from the weights that it starts from."""
    whole, point = dense(task, seed), entry["rewind"]["weights"]

    def start(trained: str) -> Place:
        """What a level begins with that is pruned from a run."""
        return Place(file(trained, "weights")) if point == "final" else rewound(task, seed, point)

    if entry["criterion"] in SCORED:
        scored = rewound(task, seed, point)
        return Origin(None, scored.file, scored, None, scored)
    if level == 1 or not entry["iterative"]:
        return Origin(whole, file(whole, "weights"), rewound(task, seed, "init"), None, start(whole))
    trained = lineage(task, recipe, seed, level - 1)
    began = start(lineage(task, recipe, seed, level - 2) if level > 2 else whole)
    return Origin(trained, file(trained, "trained"), began, trained, start(trained))


def data_inputs(dataset: str | None, suffix: str) -> dict[str, str]:
    """What a job reads of a prepared data set, if it needs one."""
    if dataset is None:
        return {}
    return {"data": data(dataset, suffix), "data_record": data_record(dataset)}


def init_inputs(task: str, seed: int | str) -> dict[str, str]:
    """What the dense run of a task and seed starts from."""
    return files(dense(task, seed), "init", "init_record")


def start_inputs(task: str, seed: int | str, entry: Mapping[str, Any]) -> dict[str, str]:
    """The weights that a recipe rewinds to, and the optimizer's state there if it reads that."""
    whole, rewind = dense(task, seed), entry["rewind"]
    untrained = entry["criterion"] in SCORED and rewind["weights"] == "init"
    record = file(whole, "init_record" if untrained else "metrics")
    found = {"start": rewound(task, seed, rewind["weights"]).file, "start_record": record}
    return found | (files(whole, "optimizer", "optimizer_record") if rewind["optimizer"] == "rewound" else {})


def mask_inputs(task: str, recipe: str, seed: int | str, level: int) -> dict[str, str]:
    folder = lineage(task, recipe, seed, level)
    return {"mask": file(folder, "mask"), "mask_record": file(folder, "pruning")}


def prune_inputs(
    task: str, recipe: str, entry: Mapping[str, Any], seed: int | str, level: int
) -> dict[str, str]:
    """What the mask of a level is made from, beside the data where its criterion looks at them."""
    made = origin(task, recipe, entry, seed, level)
    if made.trained is None:
        start = start_inputs(task, seed, entry)
        return {key: start[key] for key in ("start", "start_record")}
    found = {"weights": made.weights, "weights_record": file(made.trained, "metrics")}
    found["began"] = made.began.file
    return found if made.before is None else found | mask_inputs(task, recipe, seed, level - 1)


def level_inputs(
    task: str, recipe: str, entry: Mapping[str, Any], seed: int | str, level: int
) -> dict[str, str]:
    """What the training of a level is made from, beside its data."""
    if entry["rewind"]["weights"] == "final":
        made = origin(task, recipe, entry, seed, level)
        record = "metrics" if made.before is None else "weights_record"
        run = made.start.file.rpartition("/")[0]
        found = {"start": made.start.file, "start_record": file(run, record)}
    else:
        found = start_inputs(task, seed, entry)
    return found | mask_inputs(task, recipe, seed, level)


def ticket_inputs(
    source: str, recipe: str, entry: Mapping[str, Any], seed: int | str, level: int
) -> dict[str, str]:
    """What a ticket of a lineage is made from, beside the data of its target; level 0 has no mask."""
    found = start_inputs(source, seed, entry)
    return found | mask_inputs(source, recipe, seed, level) if level else found
