"""The core loop of the lottery in one place and one process: train, prune, rewind, repeat.

The workflow runs the same stages as one job each (rules/train.smk, rules/prune.smk) and makes the
same files; this is for reading, for a debugger and for a notebook.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import addresses, data, runs, stages
from .addresses import files
from .criteria import SCORED
from .study import of_level, pruning_settings, scoring_settings, training_settings

RUN = ("metrics", "curve", "provenance")


@dataclass(frozen=True)
class Lineage:
    """A task, a recipe by name and entry, a seed; root: folder of `results/`, where the task's data lie
    prepared.

    For recipes that rewind to a point of the dense run, with a fresh optimizer.
    """

    root: Path
    task: Mapping[str, Any]
    name: str
    recipe: Mapping[str, Any]
    seed: int


def find_tickets(lineage: Lineage, levels: int) -> None:
    """Find the winning tickets of levels 1 to `levels`; files go where the workflow would put them."""
    initialise(lineage)
    train_dense(lineage)
    for level in range(1, levels + 1):
        prune(lineage, level)
        rewind_and_train(lineage, level)


def initialise(one: Lineage) -> None:
    """The weights that all begins with, and what a network reaches that learned nothing."""
    settings = training_settings(one.task, one.seed, 0, "dense")
    stages.initialise(settings, {}, _at(one, _init(one)), runs.HERE)
    stages.chance(settings, _at(one, _data(one)), _at(one, _data(one)), runs.HERE)


def train_dense(one: Lineage) -> None:
    """Level 0: the whole network, whose weights are kept at the rewind points and the end."""
    settings = training_settings(one.task, one.seed, 0, "dense")
    outputs = files(addresses.dense(one.task["name"], one.seed), "weights", "rewind", *RUN)
    inputs = _data(one) | _init(one)
    stages.run(stages.train_dense(settings, _at(one, inputs), _at(one, outputs), runs.HERE))


def prune(one: Lineage, level: int) -> None:
    """The mask of a level: the weights of largest score after the training of the level before, or in what
    the level starts from."""
    lineage = (one.task["name"], one.name, one.recipe, one.seed, level)
    inputs, outputs = addresses.prune_inputs(*lineage), files(_level(one, level), "mask", "pruning")
    if one.recipe["criterion"] in SCORED:
        settings = scoring_settings(one.task, *lineage[1:])
        stages.score(settings, _at(one, _data(one) | inputs), _at(one, outputs), runs.HERE)
    else:
        stages.prune(pruning_settings(*lineage), _at(one, inputs), _at(one, outputs))


def rewind_and_train(one: Lineage, level: int) -> None:
    """The winning ticket of a level: its mask on the weights of the rewind point, trained as the whole
    network was."""
    more = of_level(one.name, one.recipe)
    settings = training_settings(one.task, one.seed, level, "winning", **more)
    made = addresses.level_inputs(one.task["name"], one.name, one.recipe, one.seed, level)
    outputs = files(_level(one, level), "trained", *RUN)
    stages.run(stages.train_level(settings, _at(one, _data(one) | made), _at(one, outputs), runs.HERE))


def _level(one: Lineage, level: int) -> str:
    return addresses.lineage(one.task["name"], one.name, one.seed, level)


def _init(one: Lineage) -> dict[str, str]:
    return addresses.init_inputs(one.task["name"], one.seed)


def _data(one: Lineage) -> dict[str, str]:
    """What every training reads."""
    dataset = runs.family(one.task["family"]).dataset(one.task)
    suffix = data.kind_of(one.task["dataset"]).SUFFIX if dataset else ""
    return addresses.data_inputs(dataset, suffix) | {"chance": addresses.chance(one.task["name"])}


def _at(one: Lineage, paths: Mapping[str, str]) -> dict[str, str]:
    return {key: str(one.root / path) for key, path in paths.items()}
