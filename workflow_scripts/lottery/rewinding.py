"""Points in a training, and what a ticket starts from: weights, schedule, optimizer state.

A point is `init`, `epoch12` or `step1000`. The three sources of a rewind cover the field's variants:

    variant                         weights  schedule  optimizer
    rewinding, as in the papers     epoch1   start     fresh
    no late rewinding               init     start     fresh
    rewinding and going on          epoch1   epoch1    rewound
    learning-rate rewinding         final    epoch1    fresh
    fine-tuning                     final    end       fresh
"""

import re
from dataclasses import dataclass

from .errors import InputError

_POINT = re.compile(r"init|(epoch|step)([1-9]\d*)")


@dataclass(frozen=True)
class Rewind:
    """weights:   a rewind point of the dense run, or `final`: the weights just trained, pruned
    schedule:  `start`, a point, or `end`: the full length at the last learning rate
    optimizer: `fresh`, or `rewound`: its state at the point the weights come from
    """

    weights: str = "epoch1"
    schedule: str = "start"
    optimizer: str = "fresh"


def parse(point: str) -> tuple[str, int]:
    """`epoch12` -> ("epoch", 12), `init` -> ("step", 0). Raises InputError."""
    match = _POINT.fullmatch(str(point))
    if not match:
        raise InputError(f"'{point}' is not a point in training; allowed: init, epochN, stepN with N from 1")
    return (match[1], int(match[2])) if match[1] else ("step", 0)


def steps(point: str, steps_per_epoch: int) -> int:
    """Optimizer steps done at a point. Raises InputError."""
    unit, number = parse(point)
    return number * steps_per_epoch if unit == "epoch" else number
