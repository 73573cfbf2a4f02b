"""What the config of a supervised task says: the model's options, the shape of an image, steps."""

from typing import Any

from ... import plugins, rewinding
from ...data.images import describe
from ...errors import InputError
from ...runs import Task
from ...schemas import validate

METRIC = "test_accuracy"


def options(task: Task) -> dict[str, Any]:
    """The model's options, those not named by their defaults. Raises InputError."""
    schema = plugins.find("models", task["model"]["name"]).OPTIONS
    named = {key: value for key, value in task["model"].items() if key != "name"}
    return validate(named, {"type": "object", "additionalProperties": False, "properties": schema}, "model")


def share_of_batch(task: Task) -> int:
    """Examples of every batch that one GPU gets: what batch normalisation sees. Raises InputError."""
    gpus = int(task.get("gpus", 1))
    if task["batch_size"] % gpus:
        raise InputError(f"batch_size: found {task['batch_size']}, allowed: a multiple of gpus, {gpus}")
    return int(task["batch_size"]) // gpus


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
