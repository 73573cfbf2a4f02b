"""Language models: an LSTM that reads a text and tells the next word: Yu et al. 2020, figure 1."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ...data.text import describe, unigram
from ...errors import InputError
from ...runs import HERE, Process, Run, Task, Trained
from ...weights import Network, load_arrays
from .settings import METRIC as METRIC
from .settings import steps as steps

if TYPE_CHECKING:
    from torch import nn

SCHEMA: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "schema.yaml").read_text())
RESOURCES = {"gpu": 1, "mem_mb": 8000}
_SMALL = {
    "family": "language",
    "dataset": "grammar-4000",
    "embedding": 16,
    "hidden": 16,
    "batch_size": 10,
    "bptt": 25,
    "length": "epoch2",
    "evaluate_every": "step8",
}
SMALLEST: dict[str, dict[str, Any]] = {
    "sgd": {
        **_SMALL,
        "optimizer": {"name": "sgd", "lr": 2.0, "momentum": 0.5},
        "clip_norm": 0.25,
        "tied": True,
    },
    "adam": {**_SMALL, "optimizer": {"name": "adam", "lr": 1.0e-2, "weight_decay": 1.0e-5}, "layers": 1},
    "bfloat16": {
        **_SMALL,
        "optimizer": {"name": "adam", "lr": 1.0e-2},
        "precision": "bfloat16",
        "reduction": "sum-over-time",
        "clip_norm": 12.5,
    },
    "float16": {**_SMALL, "optimizer": {"name": "adam", "lr": 1.0e-2}, "precision": "float16"},
}
PRELOAD: tuple[str, ...] = ("lottery.tasks.language.loop", "torch._dynamo")  # optimizers import the latter
LOWER_IS_BETTER = True


def check(task: Task) -> None:
    """Raise InputError for settings that cannot work together."""
    if task["tied"] and task["embedding"] != task["hidden"]:
        raise InputError(
            f"tied: found an embedding of {task['embedding']} and a hidden layer of {task['hidden']}, "
            "allowed: two of one width"
        )
    for key in ("length", "evaluate_every"):
        if steps(task, task[key]) < 1:
            raise InputError(f"{key}: found {task[key]}, allowed: a point after the first step")
    for milestone in task["schedule"]["milestones"]:
        steps(task, milestone)


def like_metric(task: Task) -> tuple[str, ...]:
    """Log-perplexities of other texts, and of the test text at early stopping."""
    texts = ("validation_log_perplexity", "train_log_perplexity")
    return (*texts, "early_stop_validation_log_perplexity", "early_stop_test_log_perplexity")


def reports(task: Task) -> tuple[str, ...]:
    """Numbers of a run beside the headline metric."""
    return (*like_metric(task), "early_stop_step", "test_perplexity", "steps", "examples", "standard_error")


def dataset(task: Task) -> str:
    return str(task["dataset"]["name"])


def architecture(task: Task) -> str:
    """Networks are alike if their words are: each row of the embedding belongs to one."""
    said = {key: task[key] for key in ("embedding", "hidden", "layers", "tied")}
    return json.dumps({**said, "vocabulary": describe(task["dataset"]).words})


def outputs(task: Task) -> str:
    """The words that are told: texts of one vocabulary have them in common."""
    return describe(task["dataset"]).words


def initialise(task: Task, seed: int) -> Network:
    """A network drawn from its initial distribution with the 63-bit `seed`."""
    from .loop import draw

    return draw(task, seed)


def chance(task: Task, data: Path | None) -> float:
    """Test log-perplexity of the frequencies of single words in the training text."""
    assert data is not None
    arrays, _ = load_arrays(data)
    return unigram(arrays["train"], arrays["test"][1:], describe(task["dataset"]).vocabulary)


def together(task: Task) -> int:
    return 1


def train(task: Task, runs: Sequence[Run]) -> list[Trained]:
    """Train each network for the task's whole length, one after the other."""
    from . import loop

    return [loop.train(task, run) for run in runs]


def module(task: Task) -> "nn.Module":
    """The task's model: tokens [T, B], hidden state -> logits [T, B, vocabulary], hidden state."""
    from .model import LanguageModel

    return LanguageModel(task)


def evaluate(
    task: Task, network: Network, data: Path, part: str, *, process: Process = HERE
) -> dict[str, float]:
    """`log_perplexity`, which is the `loss` too, on `train`, `validation` or `test`, in evaluation mode."""
    from .loop import evaluate as evaluated

    return evaluated(task, network, data, part)


def statistics(task: Task, network: Network, data: Path, *, process: Process = HERE) -> Network:
    """The network as it is: it normalises nothing."""
    return network
