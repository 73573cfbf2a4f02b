"""Supervised image classification: one data set, one model, one optimizer, one schedule."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from ... import plugins
from ...data.images import describe
from ...errors import InputError
from ...runs import CONNECTIONS, HERE, Connection, Process, Run, Task, Trained
from ...weights import Network, load_arrays
from .settings import METRIC as METRIC
from .settings import image_shape, options, share_of_batch, streamed, training_examples
from .settings import steps as steps

if TYPE_CHECKING:
    from torch import nn

SCHEMA: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "schema.yaml").read_text())
RESOURCES = {"gpu": 1, "mem_mb": 8000}
_SMALL = {
    "family": "supervised",
    "dataset": "digits",
    "validation": 117,
    "model": {"name": "lenet-300-100"},
    "batch_size": 60,
    "length": "epoch2",
    "evaluate_every": "step11",
}
SMALLEST: dict[str, dict[str, Any]] = {
    "sgd": {
        **_SMALL,
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1.0e-4},
        "clip_norm": 1.0,
    },
    "adam": {**_SMALL, "optimizer": {"name": "adam", "lr": 1.2e-3}},
    "bfloat16": {
        **_SMALL,
        "validation": 777,
        "image": [3, 16, 16],
        "model": {"name": "resnet-20", "width": 4, "blocks": 1},
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "augment": ["crop", "flip"],
        "precision": "bfloat16",
    },
    "float16": {**_SMALL, "optimizer": {"name": "adam", "lr": 1.2e-3}, "precision": "float16"},
}
PRELOAD: tuple[str, ...] = ("lottery.tasks.supervised.loop", "torch._dynamo")  # optimizers import the latter
LOWER_IS_BETTER = False
METHODS = ("snip",)  # of `scores`


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
    share = share_of_batch(task)
    model = plugins.find("models", task["model"]["name"])
    if hasattr(model, "check"):
        model.check(wanted, share, **options(task))
    examples = training_examples(task)
    if not task["batch_size"] <= examples:
        raise InputError(f"batch_size: {task['batch_size']} is more than the {examples} training examples")
    for key in ("length", "evaluate_every"):
        if steps(task, task[key]) < 1:
            raise InputError(f"{key}: found {task[key]}, allowed: a point after the first step")
    for milestone in task["schedule"]["milestones"]:
        steps(task, milestone)


def like_metric(task: Task) -> tuple[str, ...]:
    """Accuracies; those at early stopping where there is a validation split."""
    early = ("early_stop_test_accuracy", "early_stop_train_accuracy") if task["validation"] else ()
    return ("train_accuracy", *early)


def dataset(task: Task) -> str:
    return str(task["dataset"]["name"])


def architecture(task: Task) -> str:
    model = plugins.find("models", task["model"]["name"])
    return json.dumps(
        [task["model"]["name"], options(task), model.depends_on(image_shape(task))], sort_keys=True
    )


def outputs(task: Task) -> str:
    """Parts of one set, with as many of its classes."""
    whole = task["dataset"]["name" if "shape" in task["dataset"] else "of"]
    return json.dumps([whole, describe(task["dataset"]).classes])


def reports(task: Task) -> tuple[str, ...]:
    """Numbers of a run beside the headline metric; early stopping needs a validation split."""
    early = ("step", "validation_loss", "test_accuracy", "train_accuracy") if task["validation"] else ()
    said = ("test_loss", "train_loss", "train_accuracy", "steps", "examples", "standard_error")
    return (*said, *(f"early_stop_{name}" for name in early))


def chance(task: Task, data: Path | None) -> float:
    """Test accuracy of always answering with the class that is most frequent in the training set."""
    assert data is not None
    arrays, _ = load_arrays(data)
    return float(np.mean(arrays["test_labels"] == np.bincount(arrays["train_labels"]).argmax()))


def initialise(task: Task, seed: int) -> Network:
    """A network drawn from its initial distribution with the 63-bit `seed`."""
    import torch

    from ...training.modules import to_network
    from .loop import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return to_network(*build(task))


def together(task: Task) -> int:
    return 1


def train(task: Task, runs: Sequence[Run]) -> list[Trained]:
    """Train each network for the task's whole length, one after the other."""
    from . import loop

    return [loop.train(task, run) for run in runs]


def module(task: Task) -> "nn.Module":
    """The task's model: normalised images [B, C, H, W] -> logits [B, classes]."""
    from .loop import build

    return build(task)[0]


def evaluate(
    task: Task, network: Network, data: Path, part: str, *, process: Process = HERE
) -> dict[str, float]:
    """Mean `loss` and `accuracy` on `train`, `validation` or `test`, in evaluation mode.

    Raises InputError for a part that is empty.
    """
    from .after import evaluate as evaluated

    return evaluated(task, network, data, part, process)


def scores(
    task: Task, network: Network, data: Path, method: str, *, process: Process = HERE
) -> Mapping[str, np.ndarray]:
    """What a criterion that looks at data gives each weight; method: `snip`. Raises InputError for
    another."""
    from . import after

    if method not in METHODS:
        raise InputError(f"criterion: found '{method}', allowed for this family: {', '.join(METHODS)}")
    found: dict[str, np.ndarray] = getattr(after, method)(task, network, data, process)
    return found


def statistics(task: Task, network: Network, data: Path, *, process: Process = HERE) -> Network:
    """The network with the means and variances of its batch normalisation measured anew."""
    from .after import statistics as measured

    return measured(task, network, data, process)


def connections(task: Task) -> list[Connection]:
    """How the units of the task's model are connected. Raises InputError where the model does not say."""
    model = plugins.find("models", task["model"]["name"])
    if not hasattr(model, CONNECTIONS):
        raise InputError(f"model {task['model']['name']} has no `{CONNECTIONS}`")
    found: list[Connection] = model.connections(**options(task))
    return found
