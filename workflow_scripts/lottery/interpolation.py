"""The straight line between two networks: error and loss along it, and how high they rise above its ends.

Linear mode connectivity (Frankle et al. 2020, section 2): the error barrier is the largest error at evenly
spaced points of the line, ends included, less the mean of the errors at its ends. Batch normalisation has no
agreed handling there, so both are measured: its statistics averaged as weights are, and measured anew at
every point (`reestimated`; Jordan et al. 2023 find much of a barrier to be in them).
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .analysis import Job, Numbers, rows_of
from .runs import EVALUATE, STATISTICS, Task, optional
from .weights import Network

if TYPE_CHECKING:
    from .figures import Plot

PARTS = ("test", "train")
STYLES = ("-", "--", ":", "-.")
REESTIMATED = "_reestimated"
NAMES = tuple(f"{part}_{number}" for part in PARTS for number in ("error", "loss"))
BARRIERS = {
    f"{name}_barrier{how}": f"{name.replace('_', ' ')} barrier{words}"
    for how, words in (("", ""), (REESTIMATED, ", statistics re-estimated"))
    for name in NAMES
}
OPTIONS = {"points": {"type": "integer", "minimum": 2, "maximum": 1000, "default": 30}}


def check(task: Task) -> None:
    """Raise InputError for a task whose family evaluates no network, or does not measure its statistics."""
    for name in (EVALUATE, STATISTICS):
        optional(task, name)


def between(first: Network, second: Network, alpha: float) -> Network:
    """The network at `alpha` of the way; what is counted in whole numbers, batches seen, is the first's."""
    tensors = {}
    for name, array in first.tensors.items():
        other = second.tensors[name]
        if np.issubdtype(array.dtype, np.floating):
            mixed = (1 - alpha) * array.astype(np.float64) + alpha * other.astype(np.float64)
            array = mixed.astype(array.dtype)
        tensors[name] = array
    return first.with_tensors(tensors)


def along(job: Job, first: Network, second: Network) -> list[Numbers]:
    """`alpha` and NAMES, with averaged and with re-estimated statistics, at evenly spaced points."""
    renew = optional(job.task, STATISTICS)

    def at(alpha: float) -> Numbers:
        network = between(first, second, alpha)
        row: Numbers = {"alpha": alpha, **measured(job, network)}
        again = renew(job.task, network, job.data, process=job.process)
        renewed = row if again is network else measured(job, again)
        return row | {f"{name}{REESTIMATED}": renewed[name] for name in NAMES}

    return rows_of(job, np.linspace(0, 1, job.options["points"]).tolist(), at)


def measured(job: Job, network: Network) -> Numbers:
    """Error and loss on each part; no error where the family knows of no accuracy."""
    row: Numbers = {}
    evaluate = optional(job.task, EVALUATE)
    for part in PARTS:
        said: Mapping[str, float] = evaluate(job.task, network, job.data, part, process=job.process)
        row[f"{part}_error"] = 1 - said["accuracy"] if "accuracy" in said else None
        row[f"{part}_loss"] = said["loss"]
    return row


def barriers(profile: Sequence[Numbers]) -> Numbers:
    """BARRIERS of a line; None where a number is missing or not finite somewhere on it."""
    found: Numbers = {}
    for how in ("", REESTIMATED):
        for name in NAMES:
            values = np.array([row[f"{name}{how}"] for row in profile], dtype=float)
            risen = values.max() - (values[0] + values[-1]) / 2
            found[f"{name}_barrier{how}"] = float(risen) if np.isfinite(risen) else None
    return found


def distance(first: Network, second: Network) -> float:
    """Between all trainable values, as one vector."""
    squares = 0.0
    for name, array in first.tensors.items():
        if first.roles[name] != "buffer":
            difference = array.astype(np.float64) - second.tensors[name].astype(np.float64)
            squares += float((difference**2).sum())
    return math.sqrt(squares)


def path(plot: "Plot") -> None:
    """The number whose barrier is the figure's value along the line, mean over seeds, for each curve and
    level; with averaged statistics, or re-estimated ones where the value is of these."""
    rows, name = plot.table("analysed"), plot.spec["value"].replace("_barrier", "")
    shown = name if name.removesuffix(REESTIMATED) in NAMES else NAMES[0]
    levels = sorted(rows["level"].unique())
    for curve, (label, number) in plot.curves.items():
        for place, level in enumerate(levels):
            mine = rows[(rows["curve"] == curve) & (rows["level"] == level)]
            at, lines = _lines(mine["file"], shown)
            if not lines:
                continue
            legend = label if len(levels) == 1 else f"{label}, {mine['remaining'].mean():.3g} %"
            legend += f" ({len(lines)} of {plot.seeds} seeds)" if len(lines) < plot.seeds else ""
            alone = len(plot.curves) == 1  # its levels are then told apart by colour
            colour, style = plot.colour(place if alone else number), "-" if alone else STYLES[place % 4]
            plot.axes.plot(at, np.mean(lines, axis=0), color=colour, linestyle=style, label=legend)
    plot.axes.set_xlabel("way from the first network to the second")
    plot.axes.set_ylabel(shown.replace("_", " "))


def _lines(paths: Iterable[str], shown: str) -> tuple[list[float], list[list[float]]]:
    """Points, and the numbers there of those jobs that have all."""
    found = [json.loads(Path(name).read_text())["profile"] for name in paths]
    found = [line for line in found if line and None not in [row[shown] for row in line]]
    at = [row["alpha"] for row in found[0]] if found else []
    return at, [[row[shown] for row in line] for line in found]
