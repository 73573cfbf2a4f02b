"""What the config of a language task says: steps, and the shape of what is read in one."""

from ... import rewinding
from ...data.text import describe
from ...errors import InputError
from ...runs import Task

METRIC = "test_log_perplexity"


def steps_per_epoch(task: Task) -> int:
    """Steps that read the training text once, but for the last tokens of each column. Raises InputError."""
    tokens = describe(task["dataset"]).train
    found: int = (tokens // task["batch_size"] - 1) // task["bptt"]
    if found < 1:
        columns, rows = task["batch_size"], task["bptt"]
        raise InputError(
            f"batch_size, bptt: found {columns} columns of {rows} tokens, for which a training text needs "
            f"{columns * (rows + 1)}, found {tokens}"
        )
    return found


def steps(task: Task, point: str) -> int:
    """Steps done at a point."""
    return rewinding.steps(point, steps_per_epoch(task))
