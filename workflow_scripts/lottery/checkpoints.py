"""The state of an unfinished training: one safetensors file with a JSON header, replaced atomically.

A training saves it every LOTTERY_CHECKPOINT_MINUTES (5) and when it is told to stop by SIGTERM or
SIGUSR2; then it exits with code 143 and the next run goes on from there.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DamagedFile
from .weights import load_arrays, save_arrays

STOPPED = 128 + signal.SIGTERM


class Checkpoint:
    """Saves and restores one training; `identity` tells which, so that no other is taken up."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity
        self.interval = 60 * float(os.environ.get("LOTTERY_CHECKPOINT_MINUTES", "5"))
        self.saved = time.monotonic()
        self.stopping = False
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        self.stopping = True

    @property
    def due(self) -> bool:
        return self.stopping or time.monotonic() - self.saved > self.interval

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
        """Write the state; if the training was told to stop, exit."""
        save_arrays(self.path, arrays, {"identity": self.identity, "state": state})
        self.saved = time.monotonic()
        if self.stopping:
            print(f"stopped; the state is in {self.path}", file=sys.stderr)
            sys.exit(STOPPED)
