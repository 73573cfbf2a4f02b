"""The state of an unfinished training: one safetensors file with a JSON header, replaced atomically.

A training saves it every LOTTERY_CHECKPOINT_MINUTES (5) and when it is told to stop by SIGTERM or
SIGUSR2; then it exits with code 143 and the next run goes on from there.
"""

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DamagedFile
from .files import checksum
from .tasks import Run, Task
from .weights import load_arrays, save_arrays

STOPPED = 128 + signal.SIGTERM
_told_to_stop = False


def _stop(number: int, frame: object) -> None:
    global _told_to_stop
    _told_to_stop = True


def identity(task: Task, run: Run) -> str:
    """What makes a training this one: its task, seed, rewind, and what it starts from."""
    start = checksum(dict(run.start.tensors) | {f"optimizer {k}": a for k, a in run.optimizer.items()})
    said = [task, run.seed, asdict(run.rewind), run.rewind_points, start, checksum(run.mask or {})]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=dict).encode()).hexdigest()


def exit_if_stopped() -> None:
    """Leave, once all is saved, if this process was told to stop."""
    if _told_to_stop:
        print("stopped; the state is saved", file=sys.stderr)
        sys.exit(STOPPED)


class Checkpoint:
    """Saves and restores one training; `identity` tells which, so that no other is taken up."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity
        self.interval = 60 * float(os.environ.get("LOTTERY_CHECKPOINT_MINUTES", "5"))
        self.saved = time.monotonic()
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, _stop)

    @property
    def due(self) -> bool:
        return _told_to_stop or time.monotonic() - self.saved > self.interval

    def load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Arrays and state of the last save of this very training, or None; a damaged one is dropped."""
        if not self.path.exists():
            return None
        try:
            arrays, header = load_arrays(self.path)
        except DamagedFile as error:
            print(f"{error}: starting over", file=sys.stderr)
            return None
        return (arrays, header["state"]) if header["identity"] == self.identity else None

    def save(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        save_arrays(self.path, arrays, {"identity": self.identity, "state": state})
        self.saved = time.monotonic()
