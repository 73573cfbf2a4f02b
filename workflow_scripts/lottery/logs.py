"""Run one stage of a job with its output in the job's log, and turn errors into an exit status."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from .errors import InputError


def perform(function: Callable[..., None], **arguments: Any) -> int:
    """Call a stage; print an error of the user's as one line, another with its traceback."""
    try:
        function(**arguments)
        return 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
    return 1


def run_logged(log: str, function: Callable[..., None], **arguments: Any) -> NoReturn:
    """Call a stage in this process and exit with its status."""
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.exit(perform(function, **arguments))
