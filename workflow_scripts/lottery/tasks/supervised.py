"""Supervised image classification: one data set, one model, one optimizer, one schedule."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from .. import plugins, rewinding
from ..config import validate
from ..errors import InputError
from ..preparation import describe
from ..weights import Network
from . import Run, Task, Trained

METRIC = "test_accuracy"
SCHEMA: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "supervised.schema.yaml").read_text())


def check(task: Task) -> None:
    """Raise InputError for settings that cannot work together."""
    options(task)
    (channels, height, width), wanted = describe(task["dataset"]).shape, image_shape(task)
    if channels not in (1, wanted[0]) or (not streamed(task) and (height > wanted[1] or width > wanted[2])):
        raise InputError(
            f"image: found {list(wanted)}; images of {[channels, height, width]} fit into larger ones only, "
            "and only one channel is repeated"
        )
    kinds = ("resized-crop", "flip") if streamed(task) else ("crop", "flip")
    for kind in task["augment"]:
        if kind not in kinds:
            raise InputError(f"augment: found {kind}, allowed for this data set: {', '.join(kinds)}")
    examples = training_examples(task)
    if not task["batch_size"] <= examples:
        raise InputError(f"batch_size: {task['batch_size']} is more than the {examples} training examples")
    for key in ("length", "evaluate_every"):
        if steps(task, task[key]) < 1:
            raise InputError(f"{key}: found {task[key]}, allowed: a point after the first step")
    for milestone in task["schedule"]["milestones"]:
        steps(task, milestone)


def options(task: Task) -> dict[str, Any]:
    """The model's options, those not named by their defaults. Raises InputError."""
    schema = plugins.find("models", task["model"]["name"]).OPTIONS
    named = {key: value for key, value in task["model"].items() if key != "name"}
    return validate(named, {"type": "object", "additionalProperties": False, "properties": schema}, "model")


def data(task: Task) -> str:
    return str(task["dataset"]["name"])


def streamed(task: Task) -> bool:
    """Whether the images are read from their files as they are wanted."""
    return describe(task["dataset"]).streamed


def image_shape(task: Task) -> tuple[int, int, int]:
    """(C, H, W) of what the network is given."""
    channels, height, width = task["image"] or describe(task["dataset"]).shape
    return channels, height, width


def training_examples(task: Task) -> int:
    """Examples trained on: the data set less the validation split."""
    examples = describe(task["dataset"]).train
    if not 0 <= task["validation"] < examples:
        raise InputError(f"validation: {task['validation']} is not in 0 to {examples - 1}")
    return int(examples - task["validation"])


def steps(task: Task, point: str) -> int:
    """Steps done at a point; an epoch is the number of whole batches."""
    return rewinding.steps(point, training_examples(task) // task["batch_size"])


def architecture(task: Task) -> str:
    model = plugins.find("models", task["model"]["name"])
    return json.dumps(
        [task["model"]["name"], options(task), model.depends_on(image_shape(task))], sort_keys=True
    )


def chance(task: Task) -> float:
    return 1 / describe(task["dataset"]).classes


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
