"""Advantage actor-critic on a game of gymnasium with a discrete action: Yu et al. 2020, section 4.2."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from ...errors import InputError
from ...runs import Connection, Run, Task, Trained, chain
from ...seeds import generator, seed_for
from ...weights import Network
from . import games
from .settings import METRIC as METRIC
from .settings import steps as steps

if TYPE_CHECKING:
    from torch import nn

SCHEMA: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "schema.yaml").read_text())
RESOURCES = {"mem_mb": 2000, "pack": 4}
SMALLEST: dict[str, dict[str, Any]] = {
    learner: {
        "family": "a2c",
        "game": "CartPole-v1",
        "hidden": [16],
        "length": "epoch3",
        "episodes": 8,
        "reward_episodes": 8,
        "environments": 4,
        "learner": learner,
    }
    for learner in ("numpy", "torch")
}
PRELOAD: tuple[str, ...] = ("lottery.tasks.a2c.ensemble", "gymnasium")
LOWER_IS_BETTER = False


def check(task: Task) -> None:
    """Raise InputError for settings that cannot work together."""
    total = steps(task, task["length"])
    if task["reward_episodes"] > total:
        raise InputError(f"reward_episodes: {task['reward_episodes']} is more than the {total} games played")
    if task["n_step"] > task["rollout"]:
        raise InputError(f"n_step: found {task['n_step']}, allowed: at most rollout, {task['rollout']}")


def like_metric(task: Task) -> tuple[str, ...]:
    """The mean of all games is a reward as that of the last ones is."""
    return ("training_reward",)


def dataset(task: Task) -> None:
    """None: games need no data."""


def architecture(task: Task) -> str:
    return json.dumps([games.find(task["game"]).observations, task["hidden"]])


def outputs(task: Task) -> str:
    """Actions mean the same in one game only."""
    return games.find(task["game"]).played


def chance(task: Task, data: Path | None) -> float:
    """Mean reward of 100 games of uniformly random actions, the same for every call.

    A game without an end counts with its first 10,000 steps, one whose reward is not finite with what it
    had before.
    """
    game, number = games.find(task["game"]), 100
    played, rng = games.make(game, number), generator(0, "chance")
    for place in range(number):
        played.start(place, seed_for(0, "chance", place))
    live, total = np.ones(number, bool), np.zeros(number)
    for _ in range(max(game.limit or 0, 10_000)):
        _, rewards, ended, cut = played.step(rng.integers(0, game.actions, number), live)
        live &= games.finite(total + rewards)
        total += np.where(live, rewards, 0)
        live &= ~ended & ~cut
        if not live.any():
            break
    return float(total.mean())


def initialise(task: Task, seed: int) -> Network:
    """A network drawn from its initial distribution with the 63-bit `seed`."""
    from .learner import draw

    game = games.find(task["game"])
    return draw((game.observations, *task["hidden"]), game.actions, np.random.default_rng(seed))


def together(task: Task) -> int:
    """Three where numpy's overhead counts; no gain with torch, or for games that are stepped one by one."""
    return 3 if task["learner"] == "numpy" and games.all_at_once(games.find(task["game"])) else 1


def train(task: Task, runs: Sequence[Run]) -> list[Trained]:
    """Train the networks side by side until each has finished its games."""
    from . import ensemble

    return ensemble.train(task, runs)


def reports(task: Task) -> tuple[str, ...]:
    """Numbers of a run beside the metric, for figures."""
    return ("training_reward", "games", "steps", "updates", "examples", "standard_error")


def connections(task: Task) -> list[Connection]:
    """Of the hidden layers and the two heads."""
    hidden = chain(*(f"hidden.{number}.weight" for number in range(len(task["hidden"]))))
    last = hidden[-1].target if hidden else "input"
    return [*hidden, *(Connection(f"{head}.weight", last, head) for head in ("policy", "value"))]


def module(task: Task) -> "nn.Module":
    """Observations [games, values] -> logits and the value [games, actions + 1]."""
    from .torch_learner import Perceptron

    game = games.find(task["game"])
    return Perceptron(game.observations, task["hidden"], game.actions)
