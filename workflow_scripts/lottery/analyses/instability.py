"""Instability to the noise of SGD (Frankle et al. 2020): error and loss on the straight line between two
networks that were trained from one start, with other data order, augmentation and dropout.

Asked of copies: curves with `copy: 1`, in a study that has copy 0 of the same too; the line is between their
final weights. They part where the curve starts: level 0 of a lineage at the initial weights, `dense-rewound`
at a rewind point of the dense run (with the schedule from there too), a ticket at its own start. The paper
calls an error barrier below 2 % stable.

`distance` is that between the two networks, `travelled` the mean of theirs from the start, over all that is
trained.
"""

from typing import Any

from .. import interpolation
from ..analysis import Job, Measured
from ..errors import InputError
from ..interpolation import along, barriers, distance, path
from ..interpolation import check as check

OPTIONS = interpolation.OPTIONS
VALUES = interpolation.BARRIERS | {
    "distance": "distance between copies",
    "travelled": "distance of copies from their start",
    "distance_over_travelled": "distance between copies / from their start",
}
READS = ("start", "weights")
RESOURCES: dict[str, Any] = {}
FIGURES = {"path": path}


def runs(level: int, copy: int) -> dict[str, tuple[int, int]]:
    """Name -> (level, copy): copy 0, and the curve's. Raises InputError for a curve of copy 0."""
    if not copy:
        raise InputError("found copy 0, allowed: a copy of the same start, `copy: 1` and so on")
    return {"first": (level, 0), "second": (level, copy)}


def measure(job: Job) -> Measured:
    """Error and loss along the line, their barriers, and distances."""
    first, second = job.runs["first"], job.runs["second"]
    assert first.weights is not None and second.weights is not None
    assert first.start is not None and second.start is not None
    if distance(first.start, second.start):
        raise InputError("instability: the two copies have not begun with the same weights")
    line = along(job, first.weights, second.weights)
    apart = distance(first.weights, second.weights)
    travelled = (distance(first.start, first.weights) + distance(second.start, second.weights)) / 2
    ratio = apart / travelled if travelled else None
    distances = {"distance": apart, "travelled": travelled, "distance_over_travelled": ratio}
    return Measured(barriers(line) | distances, line)
