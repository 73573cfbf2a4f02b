"""The core loop of the lottery in one place and one process: train, prune, rewind, repeat.

The workflow runs the same stages as one job each (rules/train.smk, rules/prune.smk) and makes the
same files; this is for reading, for a debugger and for a notebook.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import addresses, data, runs, stages
from .addresses import dense, files, lineage
from .study import pruning_settings, training_settings

RUN = ("metrics", "curve", "provenance")


def find_tickets(
    root: Path, task: Mapping[str, Any], name: str, recipe: Mapping[str, Any], seed: int, levels: int
) -> None:
    """Find the winning tickets of levels 1 to `levels`; files go where the workflow would put them.

    root: folder of `results/`, in which the task's data set is prepared; name: the recipe's.
    For recipes that rewind to a point of the dense run, with a fresh optimizer.
    """
    source, process = task["name"], runs.Process()

    def at(paths: Mapping[str, str]) -> dict[str, str]:
        return {key: str(root / path) for key, path in paths.items()}

    given = at(_data(task) | {"chance": addresses.chance(source)})
    start, settings = at(addresses.init_inputs(source, seed)), training_settings(task, seed, 0, "dense")
    stages.chance(settings, given, given, process)
    stages.initialise(settings, {}, start, process)
    outputs = at(files(dense(source, seed), "weights", "rewind", *RUN))
    stages.run(stages.train_dense(settings, given | start, outputs, process))
    for level in range(1, levels + 1):
        inputs = at(addresses.prune_inputs(source, name, recipe, seed, level))
        outputs = at(files(lineage(source, name, seed, level), "mask", "pruning"))
        stages.prune(pruning_settings(source, name, recipe, seed, level), inputs, outputs)

        settings = training_settings(task, seed, level, "winning", recipe=name, rewind=recipe["rewind"])
        inputs = at(addresses.level_inputs(source, name, recipe, seed, level))
        outputs = at(files(lineage(source, name, seed, level), "trained", *RUN))
        stages.run(stages.train_level(settings, given | inputs, outputs, process))


def _data(task: Mapping[str, Any]) -> dict[str, str]:
    dataset = runs.family(task["family"]).dataset(task)
    return addresses.data_inputs(dataset, data.kind_of(task["dataset"]).SUFFIX if dataset else "")
