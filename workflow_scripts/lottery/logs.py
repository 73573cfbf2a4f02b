"""Where a job starts: its environment, its log, and its exit status."""

import errno
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from .errors import InputError
from .runs import Process
from .stopping import listen

FULL = (errno.ENOSPC, errno.EDQUOT)


def surroundings() -> dict[str, Any]:
    """What the environment says of a process that trains, as plain values. Raises InputError."""
    return {
        "data_root": data_root(),
        "save_every": 60 * _number("LOTTERY_CHECKPOINT_MINUTES", "5"),
    }


def data_root() -> str:
    """The folder that data sets are taken from."""
    return os.environ.get("LOTTERY_DATA", "data")


def _number(variable: str, default: str) -> float:
    text = os.environ.get(variable, default)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise InputError(f"{variable}: found '{text}', allowed: a number that is not negative")
    return number


def process(said: Mapping[str, Any]) -> Process:
    """This process, as a training knows it; from now on SIGTERM and SIGUSR2 are a wish to stop."""
    return Process(**{**said, "data_root": Path(said["data_root"])}, stop=listen())


def explained(error: BaseException) -> str:
    """An error of the user's, and a full disk, as one line; another with its traceback."""
    if isinstance(error, InputError):
        return f"error: {error}\n"
    if isinstance(error, OSError) and error.errno in FULL:
        return f"error: {error.filename}: {error.strerror}\n"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted\n"
    return "".join(traceback.format_exception(error))


def perform(function: Callable[..., None], **arguments: Any) -> int:
    """Call a stage and return its exit status; what went wrong is on stderr."""
    try:
        function(**arguments)
        return 0
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException as error:
        sys.stderr.write(explained(error))
        return 130 if isinstance(error, KeyboardInterrupt) else 1


def run_logged(log: str, function: Callable[..., None], **arguments: Any) -> NoReturn:
    """Call a stage in this process and exit with its status."""
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.exit(perform(function, **arguments))


def run_here(log: str, stage: Callable[..., None], **arguments: Any) -> NoReturn:
    """Run a stage that trains nothing in this process, with its output in `log`, and exit with its status."""

    def run() -> None:
        stage(**arguments, process=Process(data_root=Path(surroundings()["data_root"])))

    run_logged(log, run)
