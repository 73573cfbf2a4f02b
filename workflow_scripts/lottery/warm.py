"""One process that has imported torch, and forks a child for every training.

Importing torch takes two seconds, a small training one. The workflow starts this process when it
starts running jobs, and names its socket in LOTTERY_WARM; the scripts of the training rules hand
their stage over and wait. As many children run as there are cores, forked before any thread or
device exists. Stages that wait while all are busy, as they do when Snakemake is given more cores
than there are, are trained side by side in one child if they are of one task and that is faster.
A SLURM job has a warm process of its own. Without LOTTERY_WARM, or elsewhere, a stage runs where it is.
"""

import contextlib
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from . import runs
from .errors import InputError
from .logs import explained, perform, process, run_logged, surroundings
from .stopping import STOPPED, STOPS

VARIABLE = "LOTTERY_WARM"
PATIENCE = 10.0  # seconds that a script has for its request
SINGLE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def start() -> None:
    """Start the warm process, which ends with this one; nothing if LOTTERY_WARM is set (to `off`, say)."""
    if VARIABLE not in os.environ:
        _start(tempfile.mkdtemp(prefix="lottery-"), os.getpid())


def join() -> None:
    """As `start`, where Snakemake runs once for each training of a SLURM job: one process for all of them.

    It ends with the job's worker, which is named in SUBMITIT_WORKER.
    """
    worker = os.environ.get("SUBMITIT_WORKER")
    if VARIABLE in os.environ or not worker:
        return
    folder = f"{tempfile.gettempdir()}/lottery-{os.getuid()}-{os.environ.get('SLURM_JOB_ID', '')}-{worker}"
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if os.stat(folder).st_uid == os.getuid():
            os.environ[VARIABLE] = f"{_where()}:{folder}/socket"
        return
    _start(folder, int(worker))


def _start(folder: str, owner: int) -> None:
    """folder: readable by this user only; owner: the process with which the warm process ends."""
    if len(folder) > 90:  # the system allows a socket's path 108 bytes
        return
    here, theirs = str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")
    path = [here, theirs] if theirs else [here]  # a game or a model may be of the user's own environment
    subprocess.Popen(
        [sys.executable, "-m", "lottery.warm", f"{folder}/socket", str(owner)],
        env={**os.environ, **SINGLE_THREAD, "PYTHONPATH": os.pathsep.join(path)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches the jobs, not this
    )
    os.environ[VARIABLE] = f"{_where()}:{folder}/socket"


def run_stage(stage: str, log: str, **arguments: Any) -> NoReturn:
    """Run `lottery.stages.<stage>(**arguments)` with its output in `log`, and exit with its status."""
    try:
        _run_stage(stage, log, **arguments)
    except KeyboardInterrupt:
        sys.exit(130)


def _run_stage(stage: str, log: str, **arguments: Any) -> NoReturn:
    try:
        asked = {"stage": stage, "arguments": arguments, "cwd": os.getcwd(), "process": surroundings()}
    except InputError as error:
        Path(log).write_text(explained(error))
        sys.exit(explained(error).rstrip())
    connection = _connect()
    if connection is None:
        os.environ.update(SINGLE_THREAD)
        run_logged(log, _run, asked=[asked])
    for number in STOPS:
        signal.signal(number, lambda *_: connection.send(b"stop"))
    request = json.dumps(asked).encode()
    with open(log, "w") as file:
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], [file.fileno()])
    connection.sendall(request)
    if answer := connection.recv(1):
        sys.exit(answer[0])
    with open(log, "a") as file:
        file.write("error: the process that trainings are forked from has died\n")
    sys.exit(1)


def _where() -> str:
    """The machine and SLURM job in which a socket may be used."""
    return f"{socket.gethostname()}/{os.environ.get('SLURM_JOB_ID', '')}"


def _connect() -> socket.socket | None:
    where, _, path = os.environ.get(VARIABLE, "").rpartition(":")
    if where != _where():
        return None
    connection = socket.socket(socket.AF_UNIX)
    for _ in range(100):
        try:
            connection.connect(path)
            return connection
        except OSError:
            time.sleep(0.05)
    return None


def _run(asked: Sequence[dict[str, Any]]) -> None:
    """Run stages of one task, those that train side by side."""
    os.chdir(asked[0]["cwd"])
    stages, here = importlib.import_module("lottery.stages"), process(asked[0]["process"])
    begun = [getattr(stages, one["stage"])(**one["arguments"], process=here) for one in asked]
    stages.run(*[stage for stage in begun if stage is not None])


@dataclass(eq=False)
class Job:
    """A script that waits for its stage. log: descriptor of its log; child: process it is trained in."""

    connection: socket.socket
    log: int
    asked: dict[str, Any]
    child: int | None = None
    stopped: bool = False
    alone: bool = False

    @property
    def task(self) -> Any:
        return self.asked["arguments"]["settings"]["task"]

    def say(self, text: str) -> None:
        """Into its log, whose disk may be full."""
        with contextlib.suppress(OSError):
            os.write(self.log, text.encode())

    def answer(self, status: int) -> None:
        with contextlib.suppress(OSError):  # the script has died
            self.connection.send(bytes([status]))
        self.connection.close()
        os.close(self.log)


class Server:
    """Takes stages from scripts and gives them to children; `owner` is the process it ends with.

    Whatever goes wrong with a job is said in its log, and ends neither this process nor other jobs.
    """

    def __init__(self, path: str, owner: int) -> None:
        self.children, self.waiting = 0, list[Job]()
        self.slots = int(os.environ.get("SLURM_CPUS_PER_TASK") or len(os.sched_getaffinity(0)))
        self.ended = False
        self.alive = os.pipe()  # children read its end of file when this process has died
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1024)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(os.pidfd_open(owner), selectors.EVENT_READ, self._end)

    def _end(self) -> None:
        self.ended = True

    def serve(self) -> None:
        """Until the workflow has ended; children then save their state and stop."""
        while not self.ended:
            for key, _ in self.selector.select():
                key.data()
            while self.waiting and self.children < self.slots:
                jobs = self.waiting[:1]
                try:
                    jobs = self._next()
                    self._begin(jobs)
                except (Exception, SystemExit) as error:  # SystemExit: of a module that it imports
                    self._refuse(jobs, error)

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:  # too many files are open: the script waits
            time.sleep(0.1)
            return
        connection.settimeout(PATIENCE)
        descriptors: list[int] = []
        try:
            length, descriptors, _, _ = socket.recv_fds(connection, 8, 1)
            job = Job(connection, descriptors[0], _received(connection, int.from_bytes(length, "big")))
        except (
            OSError,
            ValueError,
            IndexError,
        ) as error:  # the script has died or hangs
            for log in descriptors:
                with contextlib.suppress(OSError):
                    os.write(log, f"error: no request that can be read: {error}\n".encode())
                os.close(log)
            connection.close()
            return
        connection.settimeout(None)
        self.waiting.append(job)
        self.selector.register(connection, selectors.EVENT_READ, partial(self._stop, job))

    def _refuse(self, jobs: list[Job], error: BaseException) -> None:
        self.waiting = [job for job in self.waiting if job not in jobs]
        for job in jobs:
            job.say(explained(error))
            self._answer(job, 1)

    def _stop(self, job: Job) -> None:
        """A script was told to stop or has died: so is its training."""
        said = b""
        with contextlib.suppress(ConnectionError):
            said = job.connection.recv(4)
        if not said:
            self.selector.unregister(job.connection)
        job.stopped = True
        if job.child is not None:
            os.kill(job.child, signal.SIGTERM)
        elif job in self.waiting:
            self.waiting.remove(job)
            self._answer(job, STOPPED)

    def _next(self) -> list[Job]:
        """The job that has waited longest, and others to be trained with it."""
        first = self.waiting[0]
        together = 1
        if not first.alone:
            together = runs.family(first.task["family"]).together(first.task)
        jobs = [job for job in self.waiting if job is first or (job.task == first.task and not job.alone)][
            :together
        ]
        self.waiting = [job for job in self.waiting if job not in jobs]
        return jobs

    def _begin(self, jobs: list[Job]) -> None:
        for name in {job.task["family"] for job in jobs}:
            for module in runs.family(name).PRELOAD:
                importlib.import_module(module)  # the first time only
        ended, running = os.pipe()
        try:
            child = os.fork()
        except OSError:
            os.close(ended)
            os.close(running)
            raise
        if child == 0:
            status = 1
            try:
                status = self._child(jobs)
            finally:  # into the loop of the parent it must never return
                os._exit(status)
        os.close(running)
        self.children += 1
        for job in jobs:
            job.child = child
        self.selector.register(ended, selectors.EVENT_READ, partial(self._ended, ended, child, jobs))

    def _child(self, jobs: list[Job]) -> int:
        """Run the stages of some jobs; the first one's log has the output of all."""
        os.dup2(jobs[0].log, 1)
        os.dup2(jobs[0].log, 2)
        first = next(iter(jobs[0].asked["arguments"]["outputs"].values()))
        for job in jobs[1:]:
            job.say(f"trained together with {first}\n")
        for key in list(self.selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        os.close(self.alive[1])
        threading.Thread(target=_stop_when_orphaned, args=(self.alive[0],), daemon=True).start()
        status = perform(_run, asked=[job.asked for job in jobs])
        sys.stdout.flush()
        sys.stderr.flush()
        return status

    def _ended(self, ended: int, child: int, jobs: list[Job]) -> None:
        """Tell the scripts; when several were trained together and failed, those not stopped go on alone."""
        self.selector.unregister(ended)
        os.close(ended)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.children -= 1
        for job in jobs:
            job.child = None
            if status and len(jobs) > 1 and not job.stopped:
                job.alone = True
                self.waiting.append(job)
                continue
            if status < 0:
                job.say(f"error: the training's process was killed by signal {-status}\n")
            self._answer(job, status if status >= 0 else 128 - status)

    def _answer(self, job: Job, status: int) -> None:
        if job.connection in {key.fileobj for key in self.selector.get_map().values()}:
            self.selector.unregister(job.connection)
        job.answer(status)


def _received(connection: socket.socket, length: int) -> dict[str, Any]:
    """The request that a script has announced. Raises ValueError or OSError for anything else."""
    text = b""
    while len(text) < length:
        if not (more := connection.recv(length - len(text))):
            raise ValueError(f"{len(text)} bytes of {length}")
        text += more
    asked: dict[str, Any] = json.loads(text)
    try:
        asked["arguments"]["settings"]["task"]["family"], asked["arguments"]["outputs"], asked["cwd"]
    except (LookupError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    return asked


def _stop_when_orphaned(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    path = sys.argv[1]
    try:
        Server(path, int(sys.argv[2])).serve()
    finally:
        shutil.rmtree(Path(path).parent, ignore_errors=True)
