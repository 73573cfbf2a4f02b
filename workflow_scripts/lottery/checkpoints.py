"""The state of an unfinished training: one safetensors file with a JSON header, replaced atomically.

A training saves it every LOTTERY_CHECKPOINT_MINUTES (5) and when it is told to stop by SIGTERM or
SIGUSR2; then it exits with code 143 and the next run goes on from there.
"""

import errno
import hashlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DamagedFile
from .files import checksum, write_json
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


def told_to_stop() -> bool:
    """Whether this process has had a signal to end."""
    return _told_to_stop


def exit_if(stopped: bool) -> None:
    """Leave, once all is saved."""
    if stopped:
        print("stopped; the state is saved", file=sys.stderr)
        sys.exit(STOPPED)


class Checkpoint:
    """Saves and restores one training; `identity` tells which, so that no other is taken up.

    writes: whether this process is the one of several that saves
    """

    def __init__(self, path: Path, identity: str, writes: bool = True) -> None:
        self.path, self.identity, self.writes = path, identity, writes
        self.interval = 60 * float(os.environ.get("LOTTERY_CHECKPOINT_MINUTES", "5"))
        self.saved = time.monotonic()
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, _stop)

    @property
    def due(self) -> bool:
        return _told_to_stop or (self.writes and time.monotonic() - self.saved > self.interval)

    def load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Arrays and state of the last save of this very training, or None; a damaged one is dropped.

        Notes beside it that the training starts, and from when it goes on.
        """
        arrays, header = self._read()
        if self.writes:
            self._note_start(bool(header))
        return (arrays, header["state"]) if header else None

    def _note_start(self, goes_on: bool) -> None:
        before = starts(self.path, self.identity)
        saved = round(self.path.stat().st_mtime, 1) if goes_on else None
        now = {
            "time": round(time.time(), 1),
            "goes_on_from": saved,
            "host": platform.node(),
            "pid": os.getpid(),
        }
        write_json(_starts(self.path), {"identity": self.identity, "starts": [*before, now]})

    def _read(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if not self.path.exists():
            return {}, {}
        try:
            arrays, header = load_arrays(self.path)
        except DamagedFile as error:
            print(f"{error}: starting over", file=sys.stderr)
            return {}, {}
        return (arrays, header) if header["identity"] == self.identity else ({}, {})

    def save(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Save the training's state; if there is no room for it the training goes on all the same."""
        try:
            save_arrays(self.path, arrays, {"identity": self.identity, "state": state})
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            print(f"{self.path}: not saved: {error.strerror}", file=sys.stderr, flush=True)
        self.saved = time.monotonic()


def _starts(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".starts.json")


def starts(checkpoint: Path, identity: str | None = None) -> list[dict[str, Any]]:
    """When and where a training was started: `time` and `goes_on_from` in seconds since 1970, the latter null
    for its beginning. With an identity only if they are those of that training."""
    if not _starts(checkpoint).exists():
        return []
    found = json.loads(_starts(checkpoint).read_text())
    return list(found["starts"]) if identity in (None, found["identity"]) else []


def remove(checkpoint: Path) -> None:
    """What is kept beside an unfinished training."""
    checkpoint.unlink(missing_ok=True)
    _starts(checkpoint).unlink(missing_ok=True)
