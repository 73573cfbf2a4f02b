"""Task families, one file each: how a task trains. The engine knows a family by these names only:

    SCHEMA                       JSON schema of the family's config entries
    METRIC, chance(task)         name of the headline metric; its value for a network that learned nothing
    check(task)                  raise InputError for settings that cannot work together
    data(task)                   name of the data set that must be prepared, or None
    steps(task, point)           how far a training is at a point such as `epoch1`, in the family's own unit
    architecture(task)           equal for two tasks whose networks differ in the output layer at most;
                                 raises InputError if the task cannot be trained here
    initialise(task, seed)       -> weights.Network, from the initial distribution
    together(task)               how many runs train fastest side by side in one process
    train(task, runs)            -> [Trained], one for each Run, whichever way is fastest

Nothing but `initialise` and `train` may import torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..masks import Mask
from ..rewinding import Rewind
from ..weights import Network

Task = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """What the engine hands a task: one network to train.

    start:         weights and buffers to begin with, pruned weights 0
    mask:          None for a dense run
    seed:          replicate; the task derives its own streams from it
    rewind:        where the schedule and the optimizer state come from
    optimizer:     optimizer state to begin with, for `rewind.optimizer: rewound`
    rewind_points: points whose weights and optimizer state are wanted back
    checkpoint:    file in which to keep the state of an unfinished training
    data:          prepared data set, or None
    name:          for the progress line
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


@dataclass(frozen=True)
class Trained:
    """What the task hands back.

    network:   final weights and buffers
    rewound:   point -> (network, optimizer state) of each rewind point wanted
    metrics:   final numbers; the family's METRIC among them
    curve:     one row per evaluation, `step` first
    seconds:   wall time trained, in all processes that took part
    status:    `ok`, `diverged` or `collapsed`, and the reason
    """

    network: Network
    metrics: dict[str, Any]
    curve: list[dict[str, Any]]
    seconds: float
    rewound: dict[str, tuple[Network, dict[str, np.ndarray]]] = field(default_factory=dict)
    status: str = "ok"
    reason: str = ""
