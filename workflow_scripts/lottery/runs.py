"""The seam between the engine and the families: what is handed in, what comes back, what a family is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from . import plugins
from .errors import InputError
from .masks import Mask
from .rewinding import Rewind
from .seeds import seed_for
from .weights import Network

Task = Mapping[str, Any]
Arrays = dict[str, np.ndarray]


def never() -> bool:
    return False


@dataclass(frozen=True)
class Process:
    """What a training knows of the process it runs in; set where that process starts.

    stop:       whether it has been told to end; a training then saves its state and leaves
    save_every: seconds between two saves
    data_root:  folder of the data sets' own files, for those that are read while training
    """

    stop: Callable[[], bool] = never
    save_every: float = 300.0
    data_root: Path = Path("data")


HERE = Process()


@dataclass(frozen=True)
class Run:
    """What the engine hands a family: one network to train.

    start:         weights and buffers to begin with, pruned weights 0
    mask:          None for a dense run
    seed:          replicate; the family derives its own streams from it
    copy:          0, or the number of a second training of the same start, in which data order, augmentation
                   and dropout are drawn anew and all else is the same
    rewind:        where the schedule and the optimizer state come from
    optimizer:     optimizer state to begin with, for `rewind.optimizer: rewound`
    rewind_points: points whose weights and optimizer state are wanted back
    checkpoint:    file or folder in which to keep the state of an unfinished training
    data:          prepared data set, a file or a folder, or None
    name:          for the progress line
    process:       the process it is trained in
    """

    start: Network
    mask: Mask | None
    seed: int
    rewind: Rewind
    checkpoint: Path
    name: str
    data: Path | None = None
    optimizer: Mapping[str, np.ndarray] = field(default_factory=dict)
    rewind_points: tuple[str, ...] = ()
    copy: int = 0
    process: Process = HERE

    @property
    def noise(self) -> int:
        """The seed of data order, augmentation, dropout, and of an agent's games and actions."""
        return seed_for(self.seed, "copy", self.copy) if self.copy else self.seed


@dataclass(frozen=True)
class Trained:
    """What the family hands back.

    network:   final weights and buffers
    rewound:   point -> (network, optimizer state) of each rewind point wanted
    metrics:   final numbers; the family's METRIC among them, unless the run failed: it then counts at chance;
               where METRIC is a mean over test examples or games, `examples`, their number, and
               `standard_error`, that of the mean
    curve:     one row per evaluation, `step` first
    seconds:   wall time trained, in all processes that took part
    status:    `ok`, `diverged` or `collapsed`, and the reason
    arrays:    what is measured and is no single number; kept in a file beside the metrics
    """

    network: Network
    metrics: dict[str, Any]
    curve: list[dict[str, Any]]
    seconds: float
    rewound: dict[str, tuple[Network, Arrays]] = field(default_factory=dict)
    status: str = "ok"
    reason: str = ""
    arrays: Arrays = field(default_factory=dict)


class Family(Protocol):
    """A way to train; a module with these names. Only `initialise`, `train` and what PRELOAD names import
    torch."""

    SCHEMA: dict[str, Any]
    """JSON schema of the family's config entries; `length` and `rewind_points` are among the keys, and `gpus`
    where several can share a training"""
    RESOURCES: dict[str, Any]
    """what a training of it asks of a cluster, over `all` of config/resources.yaml"""
    SMALLEST: dict[str, dict[str, Any]]
    """config entries that train in a second: one for each optimizer and precision; the tests run them"""
    PRELOAD: tuple[str, ...]
    """modules that are imported once, in the process from which trainings are forked"""
    METRIC: str
    """name of the headline metric"""
    LOWER_IS_BETTER: bool
    """whether a smaller value of it is better"""

    def check(self, task: Task, /) -> None:
        """Raise InputError for settings that cannot work together."""

    def dataset(self, task: Task, /) -> str | None:
        """Name of the data set that must be prepared, or None."""

    def steps(self, task: Task, point: str, /) -> int:
        """How far a training is at a point such as `epoch1`, in the family's own unit."""

    def architecture(self, task: Task, /) -> Any:
        """Equal for two tasks whose networks differ in the output layer at most; raises InputError if the
        task cannot be trained here."""

    def outputs(self, task: Task, /) -> Any:
        """Equal for two tasks whose outputs mean the same, so that a ticket may carry its output layer
        along."""

    def initialise(self, task: Task, seed: int, /) -> Network:
        """A network from its initial distribution, drawn with the 63-bit `seed`."""

    def chance(self, task: Task, data: Path | None, /) -> float:
        """The metric of a network that learned nothing; asked once, and kept in a file."""

    def together(self, task: Task, /) -> int:
        """How many runs train fastest side by side in one process."""

    def train(self, task: Task, runs: Sequence[Run], /) -> list[Trained]:
        """One result for each run, whichever way is fastest."""


# what a family may have beside that, for what comes after training
MODULE, EVALUATE, SCORES = "module", "evaluate", "scores"
METHODS = "METHODS"  # beside `scores`: the names of its methods
STATISTICS, CONNECTIONS = "statistics", "connections"
# and for figures: reports(task) -> names of the numbers in `metrics` of a run that ends well, less METRIC
REPORTS = "reports"
LIKE_METRIC = "like_metric"


@dataclass(frozen=True)
class Connection:
    """One group of units of a network feeding another, as the network's graph is told without torch.

    weight: name of the tensor [outputs, inputs, ...] between them, or None where values are added unchanged
    source: the group it comes from; the network's input is the one to which nothing leads. Of fewer units
            than the tensor has inputs, it is spread over them in rows: channels before a linear layer
    target: the group it leads to; the network's output are those that lead nowhere

    Connections are listed from the input on. Several may lead to one group, as in a residual network.
    """

    weight: str | None
    source: str
    target: str


def chain(*weights: str) -> list[Connection]:
    """The connections of layers that follow one another."""
    groups = ["input", *weights[:-1], "output"]
    return [Connection(*one) for one in zip(weights, groups, groups[1:], strict=False)]


@cache
def family(name: str) -> Family:
    """The family of that name. Raises InputError for one that is not there or is not whole."""
    found = plugins.find("tasks", name)
    owed = [*Family.__annotations__, *(key for key in vars(Family) if not key.startswith("_"))]
    if missing := [key for key in owed if not hasattr(found, key)]:
        raise InputError(f"tasks: family {name} has no {', '.join(missing)}: runs.py says what a family is")
    if missing := [key for key in ("length", "rewind_points") if key not in found.SCHEMA["properties"]]:
        raise InputError(
            f"tasks: family {name}: its SCHEMA has no {', '.join(missing)}, which every task needs"
        )
    return cast(Family, found)


def optional(task: Task, name: str) -> Callable[..., Any]:
    """A seam that not every family has. Raises InputError if the task's has none.

    module(task) -> torch.nn.Module
    evaluate(task, network, data, part) -> {name: number} on `train`, `validation` or `test`, nothing trained
    scores(task, network, data, method) -> {tensor name: array of its shape}, for criteria that look at data
    statistics(task, network, data) -> the network, what it normalises by measured anew on the training set
    connections(task) -> [Connection], from the input to the output

    `process`, a Process, is given by keyword to those that are given data.
    """
    found: Callable[..., Any] | None = getattr(family(task["family"]), name, None)
    if found is None:
        raise InputError(f"task {task['name']}: family {task['family']} has no `{name}`")
    return found


def scorer(task: Task, method: str) -> Callable[..., Any]:
    """`scores` of the task's family. Raises InputError unless it has that method."""
    found, known = optional(task, SCORES), getattr(family(task["family"]), METHODS, ())
    if method not in known:
        said = f"found {method}, allowed for family {task['family']}: {', '.join(known)}"
        raise InputError(f"task {task['name']}: criterion: {said}")
    return found


def like_metric(task: Task) -> tuple[str, ...]:
    """Names of other metrics in the headline's unit, for which its chance holds too."""
    named = getattr(family(task["family"]), LIKE_METRIC, None)
    return tuple(named(task)) if named else ()
