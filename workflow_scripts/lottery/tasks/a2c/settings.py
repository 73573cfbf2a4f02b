"""What the config of an a2c task says, in the family's own unit: finished games."""

from ... import rewinding
from ...errors import InputError
from ...runs import Task

METRIC = "episodic_reward"


def steps(task: Task, point: str) -> int:
    """Finished games at a point: an epoch is `episodes` games."""
    unit, number = rewinding.parse(point)
    if unit == "step" and number:
        raise InputError(f"'{point}' is not a point in this training; allowed: init, epochN with N from 1")
    each = task["environments"] if task["episodes_scope"] == "environment" else 1
    return number * int(task["episodes"]) * each


def first_game(task: Task, schedule_from: str) -> int:
    """Finished games at which a training's schedule begins."""
    return 0 if schedule_from in ("start", "end") else steps(task, schedule_from)
