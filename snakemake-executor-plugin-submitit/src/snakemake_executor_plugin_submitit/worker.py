"""What runs in a SLURM job: a worker that runs Snakemake jobs, each as its own process.

It has `slots` places, waits `linger` seconds for further jobs when it has none, and takes none in the last
quarter of its time. At the time limit (SIGUSR2) and when it is told to end (SIGTERM) it passes the signal
on, so that jobs can save their state; what has not ended runs again in the next run of this worker.
"""

import contextlib
import errno
import importlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from submitit import JobEnvironment
from submitit.helpers import DelayedSubmission

from .spool import Desk, Entry, jobs, read, write

LOOK = 0.1  # seconds between two looks at children
IDLE_LOOK, BUSY_LOOK = 0.25, 2.0  # and at the spool, which may be on a network file system
TAKEOVER = 10.0  # seconds that an earlier run gets to notice that it was replaced
SIGNALS = (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)
TAIL = 4000  # characters of a job's output that are kept


class Child:
    """A running job, in a session of its own. Should this process be killed, its guard ends it."""

    def __init__(self, entry: Entry, log: Path, others: Iterable["Child"]) -> None:
        self.entry, self.log, self.began = entry, log, time.time()
        self.status: int | None = None
        self.guard: subprocess.Popen[bytes] | None = None
        words = snakemake_arguments(entry["command"])
        if words is not None:
            importlib.import_module("snakemake.cli")  # a second, once for all jobs of this worker
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the child has handlers of its own
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for other in others:
                    assert other.guard and other.guard.stdin
                    other.guard.stdin.close()
                _run(entry, log, words)
            finally:
                os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        command = ["sh", "-c", f"read _; kill -KILL -{self.pid}"]
        self.guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def poll(self) -> int | None:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid and self.guard:
                self.status = os.waitstatus_to_exitcode(status)
                self.guard.kill()
                self.guard.wait()
        return self.status

    def signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


def _kill_all_of(worker: int) -> None:
    """SIGKILL what the jobs of a worker have started, in whatever session: SUBMITIT_WORKER names it."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # another user's, or gone
            if f"SUBMITIT_WORKER={worker}".encode() in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)


def _insist(action: Callable[..., None], *arguments: Any) -> None:
    """Do it, when the disk has room again: what a job has done must not be lost for want of a few bytes."""
    while True:
        try:
            return action(*arguments)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            print(f"waiting: {error}", flush=True)
            time.sleep(10)


def snakemake_arguments(command: str) -> list[str] | None:
    """Of a command that does nothing but run Snakemake with this Python: its arguments, else None."""
    words = shlex.split(command)
    if words[:3] != [sys.executable, "-m", "snakemake"] or re.search(r"[$`&|;<>]", command):
        return None
    return words[3:]


def _run(entry: Entry, log: Path, words: list[str] | None) -> None:
    """In the forked process: run the job; returns if that was done here."""
    os.setsid()
    # SLURM signals every process of a job; only a job that can save its state sets a handler of its own
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(entry["cwd"])
    os.environ["SUBMITIT_WORKER"] = str(os.getppid())
    if words is None:
        os.execvp("bash", ["bash", "-c", entry["command"]])
    sys.argv = ["snakemake", *words]
    status: Any = 1
    try:
        importlib.import_module("snakemake.cli").main(words)
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


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
            if self.told_to_end and self._is_mine():
                self._leave_told()
            look = BUSY_LOOK if self.children else IDLE_LOOK
            if now - looked > look or looked == arrived or self.told_to_end:
                looked = now
                if not self._is_mine():
                    self._leave_replaced()
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
        if not self._is_mine():
            self._leave_replaced()
        self._stop(signal.SIGUSR2, self.grace)
        self._release()
        if not jobs(self.desk.running) and not jobs(self.desk.inbox):
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
        owner = read(self.desk.folder / "owner") or {}
        return bool(owner.get("run") == self.me["run"])

    def _release(self) -> None:
        write(self.desk.folder / "owner", {**self.me, "released": True})

    def _begin(self, job: str) -> None:
        entry = self.desk.begin(job)
        if entry is None:
            return
        if entry.pop("stopped", None):
            write(self.desk.running / job, entry)
        self.children[job] = Child(entry, self.desk.folder / f"{job}.log", self.children.values())

    def _reap(self, stopped: str | None = None) -> None:
        """Record the jobs that have ended; one that was stopped and has failed so runs again."""
        for job, child in list(self.children.items()):
            status = child.poll()
            if status is None:
                continue
            if stopped and status:
                _insist(write, self.desk.running / job, {**child.entry, "stopped": stopped})
                continue
            del self.children[job]
            output = child.log.read_bytes()[-TAIL:].decode(errors="replace")
            took = time.time() - child.began
            said = {**child.entry, "status": status, "output": output, "took": took}
            _insist(self.desk.end, job, said)

    def _stop(self, number: int, grace: float) -> None:
        """Let all jobs save their state, and end them."""
        stopped = signal.Signals(number).name
        for job, child in self.children.items():
            child.signal(number)
            with contextlib.suppress(OSError):  # SLURM may kill this process before its jobs have ended
                write(self.desk.running / job, {**child.entry, "stopped": stopped})
        end = time.monotonic() + grace
        while any(child.poll() is None for child in self.children.values()):
            if time.monotonic() > end:
                for child in self.children.values():
                    child.signal(signal.SIGKILL)
            time.sleep(LOOK)
        self._reap(stopped)

    def _leave_replaced(self) -> NoReturn:
        """A later run has these jobs, and has perhaps ended: nothing is saved or removed here any more."""
        _kill_all_of(os.getpid())
        for child in self.children.values():
            child.signal(signal.SIGKILL)
        os._exit(0)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self.told_to_end = True

    def _leave_told(self) -> None:
        """Cancelled, preempted or requeued: SLURM kills soon, and requeues only what it has killed."""
        self._stop(signal.SIGTERM, 3600)
        self._release()
        if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            time.sleep(3600)
        os._exit(128 + signal.SIGTERM)
