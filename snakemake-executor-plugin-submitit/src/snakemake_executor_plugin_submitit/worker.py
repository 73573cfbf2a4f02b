"""What runs in a SLURM job: a worker that runs Snakemake jobs, each as its own process.

It has `slots` places, waits `linger` seconds for further jobs when it has none, and takes none in the last
quarter of its time. At the time limit (SIGUSR2) and when it is told to end (SIGTERM) it passes the signal
on, so that jobs can save their state; what has not ended runs again in the next run of this worker.
"""

import os
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from submitit import JobEnvironment
from submitit.helpers import DelayedSubmission

from .spool import Desk, Entry, jobs, read, write

LOOK = 0.1  # seconds between two looks at children
IDLE_LOOK, BUSY_LOOK = 0.25, 2.0  # and at the spool, which may be on a network file system
TAKEOVER = 10.0  # seconds that an earlier run gets to notice that it was replaced
TAIL = 4000  # characters of a job's output that are kept


@dataclass
class Child:
    """A running job. guard: ends it should this process be killed."""

    process: subprocess.Popen[bytes]
    guard: subprocess.Popen[bytes]
    entry: Entry
    log: Path

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)


class Worker:
    """root: the spool; grace: seconds that jobs get to save their state before the time limit."""

    def __init__(self, root: str, name: str, slots: int, linger: float, minutes: float, grace: float) -> None:
        self.root, self.name, self.slots, self.linger = root, name, slots, linger
        self.minutes, self.grace = minutes, grace
        self.desk, self.children = Desk(Path(root), name), dict[str, Child]()
        self.me: Entry = {}
        self.told_to_end = False

    def __call__(self) -> None:
        self._arrive()
        arrived = looked = busy = time.monotonic()
        while True:
            self._reap()
            now = time.monotonic()
            if self.children:
                busy = now
            if self.told_to_end:
                self._leave_told()
            if now - looked > (BUSY_LOOK if self.children else IDLE_LOOK) or looked == arrived:
                looked = now
                if not self._is_mine():
                    self._stop(signal.SIGTERM, TAKEOVER / 2)
                    os._exit(0)
                if now - arrived > 45 * self.minutes:  # three quarters of its time
                    self.desk.close()
                for job in jobs(self.desk.inbox)[: self.slots - len(self.children)]:
                    self._begin(job)
                if not self.children and (now - busy > self.linger or not self.desk.inbox.exists()):
                    self.desk.close()
                    return
            time.sleep(LOOK)

    def checkpoint(self) -> DelayedSubmission | None:
        """submitit calls it at the time limit: let jobs save their state; None if nothing is left to do."""
        self._stop(signal.SIGUSR2, self.grace)
        self._release()
        if not self.children and not jobs(self.desk.inbox):
            self.desk.close()
            return None
        again = Worker(self.root, self.name, self.slots, self.linger, self.minutes, self.grace)
        return DelayedSubmission(again)

    def _arrive(self) -> None:
        if "SUBMITIT_EXECUTOR" in os.environ:  # on the debug cluster this is Snakemake's own process
            signal.signal(signal.SIGTERM, self._on_term)
            signal.signal(signal.SIGINT, self._on_term)
        before = read(self.desk.folder / "owner")
        self.me = {"run": uuid.uuid4().hex, "job": JobEnvironment().job_id, "host": os.uname().nodename}
        write(self.desk.folder / "owner", self.me)
        if before is not None and before["run"] and not before.get("released"):
            time.sleep(TAKEOVER)  # it was killed, or lives on a node that SLURM has lost
        for job in jobs(self.desk.running):
            entry = read(self.desk.running / job)
            if entry is not None and "status" in entry:
                self.desk.end(job, entry)
            elif self.desk.inbox.exists():
                (self.desk.running / job).rename(self.desk.inbox / job)
            else:
                (self.desk.running / job).rename(self.desk.ended / f"{job}.{self.name}")

    def _is_mine(self) -> bool:
        return (read(self.desk.folder / "owner") or {}).get("run") == self.me["run"]

    def _release(self) -> None:
        write(self.desk.folder / "owner", {**self.me, "released": True})

    def _begin(self, job: str) -> None:
        entry = self.desk.begin(job)
        if entry is None:
            return
        if entry.pop("stopped", None):
            write(self.desk.running / job, entry)
        log = self.desk.folder / f"{job}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["bash", "-c", entry["command"]],
                cwd=entry["cwd"],
                env={**os.environ, "SUBMITIT_WORKER": f"{os.getpid()}:{self.desk.folder}"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_ignore_signals,
            )
        guard = subprocess.Popen(
            ["sh", "-c", f"read _; kill -KILL -{process.pid}"], stdin=subprocess.PIPE, start_new_session=True
        )
        self.children[job] = Child(process, guard, {**entry, "began": time.time()}, log)

    def _reap(self, stopped: str | None = None) -> None:
        """Record the jobs that have ended; one that was stopped and has failed so runs again."""
        for job, child in list(self.children.items()):
            status = child.process.poll()
            if status is None:
                continue
            child.guard.kill()
            child.guard.wait()
            if stopped and status:
                write(self.desk.running / job, {**child.entry, "stopped": stopped})
                continue
            del self.children[job]
            output = child.log.read_bytes()[-TAIL:].decode(errors="replace")
            took = time.time() - child.entry["began"]
            self.desk.end(job, {**child.entry, "status": status, "output": output, "took": took})

    def _stop(self, number: int, grace: float) -> None:
        """Let all jobs save their state, and end them."""
        for child in self.children.values():
            child.signal(number)
        end = time.monotonic() + grace
        while any(child.process.poll() is None for child in self.children.values()):
            if time.monotonic() > end:
                for child in self.children.values():
                    child.signal(signal.SIGKILL)
            time.sleep(LOOK)
        self._reap(stopped=signal.Signals(number).name)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self.told_to_end = True

    def _leave_told(self) -> None:
        """Cancelled, preempted or requeued: SLURM kills soon, and requeues only what it has killed."""
        self._stop(signal.SIGTERM, 3600)
        self._release()
        if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            time.sleep(3600)
        os._exit(128 + signal.SIGTERM)


def _ignore_signals() -> None:
    """SLURM signals every process of a job; only a job that can save its state sets a handler of its own."""
    for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
