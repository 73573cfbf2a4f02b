"""The seam between the engine and the analyses: what a job is given, what comes back, what an analysis is."""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from . import plugins
from .errors import InputError
from .files import write_json
from .masks import Mask
from .runs import HERE, Process, Task
from .schemas import Entry
from .stopping import STOPPED
from .weights import Network

MASK, START, WEIGHTS = "mask", "start", "weights"
Numbers = dict[str, float | None]


@dataclass(frozen=True)
class Analysed:
    """A run as an analysis is given it: what of it is in the analysis's READS; what is not may be None.

    shapes:  of all its tensors
    mask:    which weights its ticket has; None for a dense network
    start:   the network that its training began with, pruned weights 0
    weights: the network that it ended with
    """

    shapes: Mapping[str, tuple[int, ...]]
    mask: Mask | None = None
    start: Network | None = None
    weights: Network | None = None


@dataclass(frozen=True)
class Job:
    """What an analysis measures at once: one curve's run at one seed and level, and those it goes with.

    runs:    by the names that the analysis's `runs` gives them
    options: the study's, or their defaults
    data:    prepared data set of the task, a file or a folder, or None
    process: the process it is done in
    saved:   file for the rows of an unfinished job, which `rows_of` reads and keeps; None for none
    """

    task: Task
    runs: Mapping[str, Analysed]
    options: Mapping[str, Any]
    data: Path | None = None
    process: Process = HERE
    saved: Path | None = None


@dataclass(frozen=True)
class Measured:
    """What came of it. numbers: name -> number, all in VALUES; None, as an infinite one, where there is none.
    profile: rows of numbers behind them, for a figure of the analysis's own."""

    numbers: Mapping[str, float | None]
    profile: Sequence[Mapping[str, float | None]] = field(default_factory=list)


class Analysis(Protocol):
    """A job on trained tickets, with its rows and its figure; a module with these names. Nothing is trained
    for it."""

    OPTIONS: dict[str, dict[str, Any]]
    """what a study may ask of it -> JSON schema, with its default"""
    VALUES: dict[str, str]
    """the numbers it gives, in words for an axis; the first is drawn unless the study says another"""
    READS: tuple[str, ...]
    """what it reads of each run: `mask`, `start`, `weights`"""
    RESOURCES: dict[str, Any]
    """what it asks of a cluster, over what a training of the task asks, of whose GPUs it gets one"""
    FIGURES: dict[str, Any]
    """name -> function that draws a figure of its own on a figures.Plot"""

    def check(self, task: Task, /) -> None:
        """Raise InputError for a task that it cannot be asked about."""

    def runs(self, level: int, copy: int, /) -> dict[str, tuple[int, int]]:
        """Name -> (level, copy) of each run that the numbers of a run are made from. Raises InputError,
        which says what is allowed, where it has none."""

    def measure(self, job: Job, /) -> Measured:
        """The numbers of one job."""


def rows_of(job: Job, keys: Iterable[float], measure: Callable[[float], Numbers]) -> list[Numbers]:
    """A row for each key, what is not finite as None. Told to stop, as a training is, it ends after a row,
    and goes on there when it is started again."""
    found: list[Numbers] = []
    if job.saved is not None and job.saved.exists():
        found = json.loads(job.saved.read_text())["rows"]
    for key in list(keys)[len(found) :]:
        found.append({name: finite(number) for name, number in measure(key).items()})
        if job.saved is not None:
            write_json(job.saved, {"rows": found})
        if job.process.stop():
            print(f"stopped; {len(found)} rows are saved", file=sys.stderr)
            sys.exit(STOPPED)
    return found


def finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else number


@cache
def analysis(name: str) -> Analysis:
    """The analysis of that name. Raises InputError for one that is not there or is not whole."""
    found = plugins.find("analyses", name)
    owed = [*Analysis.__annotations__, *(key for key in vars(Analysis) if not key.startswith("_"))]
    if missing := [key for key in owed if not hasattr(found, key)]:
        raise InputError(
            f"analyses: {name} has no {', '.join(missing)}: analysis.py says what an analysis is"
        )
    if missing := [key for key, schema in found.OPTIONS.items() if "default" not in schema]:
        raise InputError(f"analyses: {name}: OPTIONS: {missing[0]} has no default")
    return cast(Analysis, found)


def module_of(name: str) -> str:
    """Where in the library an analysis is."""
    return f"analyses/{name.replace('-', '_')}"


def schema_of(name: str, entry: Entry) -> Entry:
    """JSON schema of a study's entry of an analysis: `entry`, that of every one, and its own options. Raises
    InputError."""
    return {
        **entry,
        "additionalProperties": False,
        "properties": entry["properties"] | analysis(name).OPTIONS,
    }
