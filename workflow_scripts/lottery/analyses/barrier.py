"""The barrier between successive levels (Paul et al. 2023, Unmasking the lottery ticket hypothesis): error
and loss on the straight line from the final weights of a level to those of the next.

The row of a level is of the line from it to the next. Where both match the dense network the paper finds an
error barrier of 0.
"""

from typing import Any

from .. import interpolation
from ..analysis import Job, Measured
from ..interpolation import along, barriers, path
from ..interpolation import check as check

OPTIONS = interpolation.OPTIONS
VALUES = interpolation.BARRIERS
READS = ("weights",)
RESOURCES: dict[str, Any] = {}
FIGURES = {"path": path}


def runs(level: int, copy: int) -> dict[str, tuple[int, int]]:
    """Name -> (level, copy): a level and the next."""
    return {"first": (level, copy), "second": (level + 1, copy)}


def measure(job: Job) -> Measured:
    """Error and loss along the line, and their barriers."""
    first, second = job.runs["first"].weights, job.runs["second"].weights
    assert first is not None and second is not None
    line = along(job, first, second)
    return Measured(barriers(line), line)
