"""Games played side by side: gymnasium's own, or the same made faster (fast_games.py).

Every game is started from a seed of its own, so its course depends on that seed and its actions
alone, and a checkpoint can take it up again.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from ...errors import InputError
from . import fast_games

# names that gymnasium no longer knows, and what is the same game today
RENAMED = {
    "LunarLander-v2": ("LunarLander-v3", "v3 clears the world on reset, v2 did not; wind is off in both"),
}


@dataclass(frozen=True)
class Game:
    """What a network must fit: `observations` inputs, `actions` outputs; at `limit` steps time is out.

    played: gymnasium's id; note: why it is not the one asked for; entry: gymnasium's entry point for it,
    if it has no settings
    """

    played: str
    note: str
    observations: int
    actions: int
    limit: int | None
    entry: str


class Games(Protocol):
    """Some games in a row; observations are float32 arrays [games, values]."""

    def start(self, game: int, seed: int) -> np.ndarray:
        """Begin a new game in place `game`; its first observation."""

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations, rewards and whether each game has ended; those that are not live mean nothing."""

    def save(self, games: slice) -> dict[str, np.ndarray]:
        """The state of some games."""

    def restore(self, games: slice, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `save`."""

    def keep(self, games: np.ndarray) -> None:
        """Drop all but these games."""


@cache
def find(name: str) -> Game:
    """A game by its gymnasium id. Raises InputError for one that is unknown or cannot be played here."""
    played, note = RENAMED.get(name, (name, ""))
    env = _make(played)
    actions, observations = env.action_space, env.observation_space
    kinds = [type(space).__name__ for space in (actions, observations)]
    if kinds[0] != "Discrete" or actions.start != 0:
        raise InputError(f"game: {name} has actions {actions}, allowed: Discrete (numbered from 0)")
    if kinds[1] != "Box" or len(observations.shape) != 1:
        raise InputError(f"game: {name} has observations {observations}, allowed: a Box of one dimension")
    spec = _spec(played)
    entry = "" if spec.kwargs else spec.entry_point
    return Game(played, note, observations.shape[0], int(actions.n), spec.max_episode_steps, entry)


def make(game: Game, number: int) -> Games:
    """`number` games, none of which has been started."""
    if all_at_once(game):
        return ArrayGames(fast_games.ARRAYS[game.entry], number)
    return SteppedGames(game, number)


def all_at_once(game: Game) -> bool:
    """Whether numpy advances all games in one go."""
    return game.entry in fast_games.ARRAYS


def _single(game: Game) -> Any:
    fast = fast_games.SINGLE.get(game.entry)
    return fast() if fast else _make(game.played).unwrapped


def _spec(name: str) -> Any:
    try:
        import gymnasium

        return gymnasium.spec(name)
    except ImportError as error:
        raise InputError(f"game: {name} cannot be played here: {_line(error)}") from None
    except gymnasium.error.Error as error:
        raise InputError(f"game: '{name}': {_line(error)} Allowed: an id of gymnasium.registry") from None


def _make(name: str) -> Any:
    """One game without its time limit, which the learner keeps itself."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import gymnasium

    _spec(name)
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    try:
        return gymnasium.make(name, max_episode_steps=-1, disable_env_checker=True)
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        raise InputError(f"game: {name} cannot be played here: {_line(error)}") from None
    except gymnasium.error.Error as error:
        raise InputError(f"game: {name}: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


class SteppedGames:
    """Games that gymnasium steps one by one.

    A state is the game's seed and the actions since: restoring plays them again.
    """

    def __init__(self, game: Game, number: int) -> None:
        self.envs = [_single(game) for _ in range(number)]
        self.seeds = [0] * number
        self.actions: list[list[int]] = [[] for _ in range(number)]
        self.nothing = ((0.0,) * game.observations, 0.0, False, False, None)

    def start(self, game: int, seed: int) -> np.ndarray:
        self.seeds[game], self.actions[game] = seed, []
        observation, _ = self.envs[game].reset(seed=seed)
        return np.asarray(observation, np.float32)

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found, chosen = [self.nothing] * len(self.envs), actions.tolist()
        for game in np.flatnonzero(live).tolist():
            found[game] = self.envs[game].step(chosen[game])
            self.actions[game].append(chosen[game])
        observations, rewards, ended, _, _ = zip(*found, strict=True)
        return np.array(observations, np.float32), np.array(rewards, float), np.array(ended, bool)

    def save(self, games: slice) -> dict[str, np.ndarray]:
        actions = self.actions[games]
        return {
            "seeds": np.array(self.seeds[games], np.int64),
            "lengths": np.array([len(a) for a in actions], np.int64),
            "actions": np.array([action for a in actions for action in a], np.int16),
        }

    def restore(self, games: slice, arrays: Mapping[str, np.ndarray]) -> None:
        histories = np.split(arrays["actions"], np.cumsum(arrays["lengths"])[:-1])
        places = range(*games.indices(len(self.envs)))
        for game, seed, history in zip(places, arrays["seeds"], histories, strict=True):
            self.start(game, int(seed))
            for action in history.tolist():
                self.envs[game].step(action)
            self.actions[game] = history.tolist()

    def keep(self, games: np.ndarray) -> None:
        for name in ("envs", "seeds", "actions"):
            setattr(self, name, [getattr(self, name)[game] for game in games])


class ArrayGames:
    """Games whose states are rows of one array, all advanced at once."""

    def __init__(self, engine: Any, number: int) -> None:
        self.engine = engine
        self.states = np.zeros((number, 4))

    def start(self, game: int, seed: int) -> np.ndarray:
        self.states[game], observation = self.engine.start(np.random.Generator(np.random.PCG64(seed)))
        return np.asarray(observation)

    def step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.states, rewards, ended = self.engine.advance(self.states, actions)
        return self.engine.observe(self.states), rewards, ended

    def save(self, games: slice) -> dict[str, np.ndarray]:
        return {"states": self.states[games]}

    def restore(self, games: slice, arrays: Mapping[str, np.ndarray]) -> None:
        self.states[games] = arrays["states"]

    def keep(self, games: np.ndarray) -> None:
        self.states = self.states[games]
