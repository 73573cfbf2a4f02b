"""How a process is told to end: by SIGTERM or SIGUSR2. Only what starts a process calls `listen`."""

import signal
from collections.abc import Callable

STOPS = (signal.SIGTERM, signal.SIGUSR2)
STOPPED = 128 + signal.SIGTERM  # exit status of a training that has saved its state


def listen() -> Callable[[], bool]:
    """Take the two signals, and Ctrl-C, as a wish from now on; what is returned says if there was one."""
    told: list[int] = []
    for number in (*STOPS, signal.SIGINT):
        signal.signal(number, lambda number, frame: told.append(number))
    return lambda: bool(told)
