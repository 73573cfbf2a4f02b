"""Supervised image classification: one data set, one model, one optimizer, one schedule."""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from .. import plugins, rewinding
from ..errors import InputError
from ..weights import Network
from . import Run, Task, Trained

METRIC = "test_accuracy"
SCHEMA: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "supervised.schema.yaml").read_text())


def check(task: Task) -> None:
    """Raise InputError for settings that cannot work together."""
    model = plugins.find("models", task["model"]["name"])
    options = list(inspect.signature(model.build).parameters)[2:]
    for option in task["model"].keys() - {"name", *options}:
        raise InputError(f"model: unknown option '{option}'; allowed: {', '.join(options) or 'none'}")
    examples = training_examples(task)
    if not task["batch_size"] <= examples:
        raise InputError(f"batch_size: {task['batch_size']} is more than the {examples} training examples")
    for key in ("length", "evaluate_every"):
        if steps(task, task[key]) < 1:
            raise InputError(f"{key}: found {task[key]}, allowed: a point after the first step")
    for milestone in task["schedule"]["milestones"]:
        steps(task, milestone)


def data(task: Task) -> str:
    return str(task["dataset"])


def training_examples(task: Task) -> int:
    """Examples trained on: the data set or its half, less the validation split."""
    dataset = plugins.find("datasets", task["dataset"])
    half = dataset.TRAIN // 2 if task["half"] else dataset.TRAIN
    if not 0 <= task["validation"] < half:
        raise InputError(f"validation: {task['validation']} is not in 0 to {half - 1}")
    return int(half - task["validation"])


def steps(task: Task, point: str) -> int:
    """Steps done at a point; an epoch is the number of whole batches."""
    return rewinding.steps(point, training_examples(task) // task["batch_size"])


def architecture(task: Task) -> str:
    dataset = plugins.find("datasets", task["dataset"])
    model = plugins.find("models", task["model"]["name"])
    return json.dumps([dict(task["model"]), model.depends_on(dataset.SHAPE)], sort_keys=True)


def chance(task: Task) -> float:
    return 1 / int(plugins.find("datasets", task["dataset"]).CLASSES)


def initialise(task: Task, seed: int) -> Network:
    """A network drawn from its initial distribution with the 63-bit `seed`."""
    import torch

    from ..networks import to_network
    from ..training import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return to_network(*build(task))


def together(task: Task) -> int:
    return 1


def train(task: Task, runs: Sequence[Run]) -> list[Trained]:
    """Train each network for the task's whole length, one after the other."""
    from .. import training

    return [training.train(task, run) for run in runs]
