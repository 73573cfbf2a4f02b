"""Advantage actor-critic on a game of gymnasium with a discrete action: Yu et al. 2020, section 4.2."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .. import games, rewinding
from ..errors import InputError
from ..seeds import generator, stream
from ..weights import Network
from . import Run, Task, Trained

METRIC = "episodic_reward"
SCHEMA: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "a2c.schema.yaml").read_text())


def check(task: Task) -> None:
    """Raise InputError for settings that cannot work together."""
    total = steps(task, task["length"])
    if task["reward_episodes"] > total:
        raise InputError(f"reward_episodes: {task['reward_episodes']} is more than the {total} games played")
    if task["n_step"] > task["block"]:
        raise InputError(f"n_step: found {task['n_step']}, allowed: at most block, {task['block']}")


def data(task: Task) -> None:
    return None


def steps(task: Task, point: str) -> int:
    """Finished games at a point, by which this family counts: an epoch is `episodes` games."""
    unit, number = rewinding.parse(point)
    if unit == "step" and number:
        raise InputError(f"'{point}' is not a point in this training; allowed: init, epochN with N from 1")
    each = task["environments"] if task["episodes_scope"] == "environment" else 1
    return number * int(task["episodes"]) * each


def first_game(task: Task, schedule_from: str) -> int:
    """Finished games at which a training's schedule begins."""
    return 0 if schedule_from in ("start", "end") else steps(task, schedule_from)


def architecture(task: Task) -> str:
    return json.dumps([games.find(task["game"]).observations, task["hidden"]])


def chance(task: Task) -> float:
    """Mean reward of 100 games of uniformly random actions, the same for every call."""
    game, number = games.find(task["game"]), 100
    played, rng = games.make(game, number), generator(0, "chance")
    for place in range(number):
        played.start(place, stream(0, "chance", place))
    live, total = np.ones(number, bool), np.zeros(number)
    for _ in range(game.limit or 10_000):
        _, rewards, ended = played.step(rng.integers(0, game.actions, number), live)
        total += np.where(live, rewards, 0)
        live &= ~ended
    return float(total.mean())


def initialise(task: Task, seed: int) -> Network:
    """A network drawn from its initial distribution with the 63-bit `seed`."""
    from ..actor_critic import initialise

    game = games.find(task["game"])
    return initialise((game.observations, *task["hidden"]), game.actions, np.random.default_rng(seed))


def together(task: Task) -> int:
    """Three where numpy's overhead counts; no gain with torch, or for games that are stepped one by one."""
    return 3 if task["learner"] == "numpy" and games.all_at_once(games.find(task["game"])) else 1


def train(task: Task, runs: Sequence[Run]) -> list[Trained]:
    """Train the networks side by side until each has finished its games."""
    from .. import a2c

    return a2c.train(task, runs)
