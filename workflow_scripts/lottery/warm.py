"""One process that has imported torch, and forks a child for every training.

Importing torch takes two seconds, a small training one. The workflow starts this process when it
starts running jobs, and names its socket in LOTTERY_WARM; the scripts of the training rules hand
their stage over and wait. Each stage still runs in a process of its own, forked before any thread
or device exists. Without LOTTERY_WARM, or on another node or SLURM job, a stage runs where it is.
"""

import importlib
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from .logs import perform, run_logged

PRELOADED = ("lottery.training", "torch._dynamo")  # an optimizer imports the second
VARIABLE = "LOTTERY_WARM"
SINGLE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def start() -> None:
    """Start the warm process as a child of this one, with which it ends; set LOTTERY_WARM.

    If it is set already (LOTTERY_WARM=off, say) nothing is started.
    """
    if VARIABLE in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="lottery-")  # readable by this user only
    if len(folder) > 90:  # the system allows a socket's path 108 bytes
        return
    here = str(Path(__file__).parent.parent)
    subprocess.Popen(
        [sys.executable, "-m", "lottery.warm", f"{folder}/socket", str(os.getpid())],
        env={**os.environ, **SINGLE_THREAD, "PYTHONPATH": here},
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches the jobs, not this
    )
    os.environ[VARIABLE] = f"{_where()}:{folder}/socket"


def run_stage(stage: str, log: str, **arguments: Any) -> NoReturn:
    """Run `lottery.stages.<stage>(**arguments)` with its output in `log`, and exit with its status."""
    connection = _connect()
    if connection is None:
        os.environ.update(SINGLE_THREAD)
        run_logged(log, _stage(stage), **arguments)
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, lambda *_: connection.send(b"stop"))
    request = json.dumps({"stage": stage, "arguments": arguments, "cwd": os.getcwd()}).encode()
    with open(log, "w") as file:
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], [file.fileno()])
    connection.sendall(request)
    try:
        answer = connection.recv(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(answer[0] if answer else f"{stage}: the process died; see {log}")


def _where() -> str:
    """The machine and SLURM job in which a socket may be used."""
    return f"{socket.gethostname()}/{os.environ.get('SLURM_JOB_ID', '')}"


def _connect() -> socket.socket | None:
    where, _, path = os.environ.get(VARIABLE, "").rpartition(":")
    if where != _where():
        return None
    connection = socket.socket(socket.AF_UNIX)
    for _ in range(40):
        try:
            connection.connect(path)
            return connection
        except OSError:
            threading.Event().wait(0.05)
    return None


def _stage(name: str) -> Callable[..., None]:
    found: Callable[..., None] = getattr(importlib.import_module("lottery.stages"), name)
    return found


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    max_children = 1024
    request_queue_size = 1024

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != int(sys.argv[2]):  # the workflow has ended: trainings save their state and stop
            for child in self.active_children or ():
                os.kill(child, signal.SIGTERM)
            raise SystemExit

    def verify_request(self, request: Any, client_address: Any) -> bool:
        for module in PRELOADED:
            importlib.import_module(module)  # at the first request only
        return True


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        length, descriptors, _, _ = socket.recv_fds(self.request, 8, 1)
        request = json.loads(self.request.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        os.dup2(descriptors[0], 1)
        os.dup2(descriptors[0], 2)
        os.chdir(request["cwd"])
        threading.Thread(target=self._obey, daemon=True).start()
        status = perform(_stage(request["stage"]), **request["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
        self.request.send(bytes([status]))

    def _obey(self) -> None:
        """Pass on the script's signals; when the script has died, save and stop."""
        while self.request.recv(4):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    path = sys.argv[1]
    try:
        with _Server(path, _Handler) as server:
            server.serve_forever()
    finally:
        shutil.rmtree(Path(path).parent, ignore_errors=True)
