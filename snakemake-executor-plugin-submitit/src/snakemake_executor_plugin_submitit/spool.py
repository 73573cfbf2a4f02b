"""The files through which Snakemake and its workers talk; every change is one atomic rename.

    workers/<worker>/worker.json   what was asked of SLURM, and the job id; written by Snakemake
    workers/<worker>/inbox/        jobs given to the worker by Snakemake; named `closed` when it takes no more
    workers/<worker>/running/      jobs it has begun
    workers/<worker>/owner         which of its runs is the latest: a job that SLURM has requeued runs again
    ended/<job>.<worker>.json      jobs it is done with; all in one folder, so that one look finds every end

A job's file holds what to run, and later what came of it (`status`, `output`, `stopped`).
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def write(path: Path, entry: Entry) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(entry))
    part.rename(path)


def read(path: Path) -> Entry | None:
    """A file's entry; None if it is not there, or was cut off by a full disk."""
    try:
        entry: Entry = json.loads(path.read_text())
        return entry
    except (OSError, ValueError):
        return None


def jobs(folder: Path) -> list[str]:
    """Names of the job files in a folder; none if it is not there."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []


class Desk:
    """One worker's folder."""

    def __init__(self, root: Path, worker: str) -> None:
        self.worker, self.folder = worker, root / "workers" / worker
        self.inbox, self.running, self.closed = (
            self.folder / name for name in ("inbox", "running", "closed")
        )
        self.ended = root / "ended"

    def set_up(self) -> None:
        for folder in (self.inbox, self.running, self.ended):
            folder.mkdir(parents=True, exist_ok=True)

    def hand_in(self, job: str, entry: Entry) -> bool:
        """Give the worker a job; False if it takes no more."""
        try:
            write(self.inbox / job, entry)
        except FileNotFoundError:
            return False
        return True

    def begin(self, job: str) -> Entry | None:
        """Take a job from the inbox; None if it was withdrawn meanwhile."""
        try:
            (self.inbox / job).rename(self.running / job)
        except FileNotFoundError:
            return None
        return read(self.running / job)

    def end(self, job: str, entry: Entry) -> None:
        write(self.running / job, entry)
        (self.running / job).rename(self.ended / f"{job}.{self.worker}")

    def revoke(self) -> None:
        """End the worker's run, wherever it is, before its jobs run elsewhere."""
        if self.folder.exists():
            write(self.folder / "owner", {"run": None})

    def close(self) -> None:
        """Take no more jobs, and hand back those not begun."""
        with contextlib.suppress(FileNotFoundError):
            self.inbox.rename(self.closed)
        for job in jobs(self.closed):
            (self.closed / job).rename(self.ended / f"{job}.{self.worker}")
