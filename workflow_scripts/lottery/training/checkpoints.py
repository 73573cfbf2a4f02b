"""The state of an unfinished training: one safetensors file with a JSON header, or a folder, replaced
atomically.

A training saves it every few minutes and when its process is told to stop; then it exits with code 143 and
the next run goes on from there."""

import errno
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DamagedFile
from ..files import checksum, replacing_folder, sealed, write_json
from ..runs import Run, Task
from ..stopping import STOPPED
from ..weights import load_arrays, save_arrays


def identity(task: Task, run: Run) -> str:
    """What makes a training this one: its task, seed, rewind, and what it starts from."""
    start = checksum(dict(run.start.tensors) | {f"optimizer {k}": a for k, a in run.optimizer.items()})
    said = [task, run.noise, asdict(run.rewind), run.rewind_points, start, checksum(run.mask or {})]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=dict).encode()).hexdigest()


def exit_if(stopped: bool) -> None:
    """Leave, once all is saved."""
    if stopped:
        print("stopped; the state is saved", file=sys.stderr)
        sys.exit(STOPPED)


class Checkpoint:
    """Saves and restores one training; `identity` tells which, so that no other is taken up.

    writes: whether this process is the one of several that saves
    folder: where `save_folder` puts it, `path` without its suffix
    """

    def __init__(self, run: Run, identity: str, writes: bool = True) -> None:
        self.path, self.folder = run.checkpoint, run.checkpoint.with_suffix("")
        self.identity, self.writes, self.process = identity, writes, run.process
        self.saved = time.monotonic()

    @property
    def due(self) -> bool:
        waited = time.monotonic() - self.saved
        return self.process.stop() or (self.writes and waited > self.process.save_every)

    def load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Arrays and state of the last save of this very training, or None; a damaged one is dropped.

        Notes beside it that the training starts, and from when it goes on.
        """
        return self._taken_up(self.path, load_arrays)

    def load_folder(self) -> tuple[Path, dict[str, Any]] | None:
        """Folder and state of the last `save_folder` of this very training, or None; a damaged one is
        dropped."""
        return self._taken_up(self.folder, lambda folder: (folder, sealed(folder)))

    def _taken_up(
        self, path: Path, read: Callable[[Path], tuple[Any, dict[str, Any]]]
    ) -> tuple[Any, dict[str, Any]] | None:
        found: tuple[Any, dict[str, Any]] | None = None
        try:
            content, header = read(path)
            if header["identity"] == self.identity:
                found = content, header["state"]
        except DamagedFile as error:
            if path.exists():
                print(f"{error}: starting over", file=sys.stderr)
        if self.writes:
            self._note_start(path if found else None)
        return found

    def _note_start(self, goes_on_from: Path | None) -> None:
        before = starts(self.path, self.identity)
        saved = round(goes_on_from.stat().st_mtime, 1) if goes_on_from else None
        now = {
            "time": round(time.time(), 1),
            "goes_on_from": saved,
            "host": platform.node(),
            "pid": os.getpid(),
        }
        try:
            write_json(_starts(self.path), {"identity": self.identity, "starts": [*before, now]})
        except OSError as error:  # a record, which costs no result
            print(f"no record of this start: {error}", file=sys.stderr, flush=True)

    def save(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Save the training's state; if there is no room for it the training goes on all the same."""
        self._save(lambda: save_arrays(self.path, arrays, {"identity": self.identity, "state": state}))

    def save_folder(self, write: Callable[[Path], None], state: Mapping[str, Any]) -> None:
        """As `save`, of a state that `write` puts into a folder as files; a checksum of each is kept."""

        def replace() -> None:
            with replacing_folder(self.folder, {"identity": self.identity, "state": state}) as folder:
                write(folder)

        self._save(replace)

    def _save(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            print(f"{self.folder}: not saved: {error.strerror}", file=sys.stderr, flush=True)
        self.saved = time.monotonic()


def _starts(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".starts.json")


def starts(checkpoint: Path, identity: str | None = None) -> list[dict[str, Any]]:
    """When and where a training was started: `time` and `goes_on_from` in seconds since 1970, the latter null
    for its beginning. With an identity only if they are those of that training."""
    try:
        found = json.loads(_starts(checkpoint).read_text())
        return list(found["starts"]) if identity in (None, found["identity"]) else []
    except (OSError, ValueError, LookupError, TypeError):
        return []


def remove(checkpoint: Path) -> None:
    """Remove what is kept beside an unfinished training."""
    shutil.rmtree(checkpoint.with_suffix(""), ignore_errors=True)
    checkpoint.unlink(missing_ok=True)
    _starts(checkpoint).unlink(missing_ok=True)
