"""Games played side by side: what gymnasium.make gives, or the same made faster (fast_games.py).

Every game is started from a seed of its own, so its course depends on that seed and its actions, and a
checkpoint can take it up again; where wrappers may remember earlier games, on those of the games before too.
"""

import importlib
import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
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
    """What a network must fit: `observations` inputs, `actions` outputs.

    played: gymnasium's id; note: why it is not the one asked for; spec: how gymnasium makes it
    """

    played: str
    note: str
    observations: int
    actions: int
    spec: Any

    @property
    def limit(self) -> int | None:
        """Steps at which gymnasium's time is out."""
        found: int | None = self.spec.max_episode_steps
        return found

    @property
    def plain(self) -> bool:
        """Whether it is gymnasium's own without wrappers: nothing of a game lasts into the next."""
        entry = self.spec.entry_point
        own = isinstance(entry, str) and entry.startswith("gymnasium.envs.")
        return own and not self.spec.additional_wrappers

    @property
    def entry(self) -> str:
        """gymnasium's entry point for it, if it is the very game that a fast one is proved equal to."""
        proved = fast_games.PROVED.get(self.spec.id, "")
        same = self.plain and not self.spec.kwargs and self.spec.entry_point == proved
        return proved if same else ""


Stepped = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Games(Protocol):
    """Some games in a row; observations are float32 arrays [games, values]."""

    def start(self, game: int, seed: int) -> np.ndarray:
        """Begin a new game in place `game`; its first observation."""

    def step(self, actions: np.ndarray, live: np.ndarray) -> Stepped:
        """Observations, rewards, and whether each game has ended (in a state worth nothing) or was cut off
        (by its time limit, or by itself); those that are not live mean nothing."""

    def save(self, games: slice) -> dict[str, np.ndarray]:
        """The state of some games."""

    def restore(self, games: slice, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `save`."""

    def keep(self, games: np.ndarray) -> None:
        """Drop all but these games."""


@cache
def find(name: str) -> Game:
    """A game by its id, as gymnasium.make takes it. Raises InputError for one that is unknown or cannot be
    played here."""
    spec, played, note = _spec(name)
    env = _make(spec, played)
    actions: Any = getattr(env, "action_space", None)
    observations: Any = getattr(env, "observation_space", None)
    kinds = [type(space).__name__ for space in (actions, observations)]
    if kinds[0] != "Discrete" or actions.start != 0:
        raise InputError(f"game: {name} has actions {actions}, allowed: Discrete (numbered from 0)")
    if kinds[1] != "Box" or len(observations.shape) != 1 or not observations.shape[0]:
        raise InputError(f"game: {name} has observations {observations}, allowed: a Box of one dimension")
    for when, shape in zip(("begins", "goes on"), _first_shapes(env, played), strict=True):
        if shape != observations.shape:
            raise InputError(
                f"game: {name} {when} with an observation of shape {shape}, its space: {observations}"
            )
    return Game(played, note, observations.shape[0], int(actions.n), spec)


def make(game: Game, number: int) -> Games:
    """`number` games, none of which has been started."""
    if all_at_once(game):
        return ArrayGames(fast_games.ARRAYS[game.entry], number, game.limit)
    return SteppedGames(game, number)


def finite(rewards: np.ndarray) -> np.ndarray:
    """Which rewards of games can be learned from, in float32."""
    found: np.ndarray = np.abs(rewards) <= np.finfo(np.float32).max
    return found


def all_at_once(game: Game) -> bool:
    """Whether numpy advances all games in one go."""
    return game.entry in fast_games.ARRAYS


def _single(game: Game) -> Any:
    fast = fast_games.SINGLE.get(game.entry)
    return fast(game.limit) if fast else _make(game.spec, game.played)


def _spec(name: str) -> tuple[Any, str, str]:
    """How gymnasium makes the game `[module:][namespace/]name[-vN]`; its whole id, and why it is another."""
    module, _, plain = name.rpartition(":")
    try:
        import gymnasium
        from gymnasium.envs import registration

        if module:
            importlib.import_module(module)  # which registers it
    except Exception as error:
        raise _unplayable(name, error) from None
    note = ""
    if plain in RENAMED and plain not in gymnasium.registry:
        plain, note = RENAMED[plain]
    try:
        space, label, version = registration.parse_env_id(plain)
        if version is None:
            version = registration.find_highest_version(space, label)
        spec = gymnasium.spec(registration.get_env_id(space, label, version))
    except gymnasium.error.Error as error:
        raise InputError(f"game: '{name}': {_line(error)} Allowed: an id of gymnasium.registry") from None
    return spec, f"{module}:{spec.id}" if module else spec.id, note


def _make(spec: Any, name: str) -> Any:
    """What gymnasium.make gives, but for its checker, which changes no value."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import gymnasium

    gymnasium.logger.min_level = gymnasium.logger.ERROR
    try:
        return gymnasium.make(spec, disable_env_checker=True)
    except Exception as error:
        raise _unplayable(name, error) from None


def _first_shapes(env: Any, name: str) -> Iterator[tuple[int, ...]]:
    """Of the observation with which a game begins, then of the next one."""
    try:
        observation, _ = env.reset(seed=0)
        yield np.shape(observation)
        observation, reward, *_ = env.step(0)
        float(reward)
        yield np.shape(observation)
        env.close()
    except Exception as error:
        raise _unplayable(name, error) from None


def _unplayable(name: str, error: Exception) -> InputError:
    """A game is anybody's code: whatever it raises is told in a line."""
    known = isinstance(error, ImportError) or type(error).__module__ == "gymnasium.error"
    said = _line(error) if known else f"{type(error).__name__}: {_line(error)}"
    return InputError(f"game: {name} cannot be played here: {said}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


class SteppedGames:
    """Games that are stepped one by one.

    A state is the game's seed and the actions since, and those of all games before it if it is not plain:
    restoring plays them again.
    """

    def __init__(self, game: Game, number: int) -> None:
        self.game = game
        self.envs = [_single(game) for _ in range(number)]
        self.histories: list[list[tuple[int, array[int]]]] = [[] for _ in range(number)]
        self.nothing = ((0.0,) * game.observations, 0.0, False, False, None)

    def start(self, game: int, seed: int) -> np.ndarray:
        if self.game.plain:
            self.histories[game].clear()
        self.histories[game].append((seed, array("i")))
        observation, _ = self.envs[game].reset(seed=seed)
        return np.asarray(observation, np.float32)

    def step(self, actions: np.ndarray, live: np.ndarray) -> Stepped:
        found, chosen = [self.nothing] * len(self.envs), actions.tolist()
        for game in np.flatnonzero(live).tolist():
            found[game] = self.envs[game].step(chosen[game])
            self.histories[game][-1][1].append(chosen[game])
        observations, rewards, ended, cut, _ = zip(*found, strict=True)
        return (
            np.array(observations, np.float32),
            np.array([float(reward) for reward in rewards]),
            np.array(ended, bool),
            np.array(cut, bool),
        )

    def save(self, games: slice) -> dict[str, np.ndarray]:
        histories = self.histories[games]
        played = [one for history in histories for one in history]
        return {
            "numbers": np.array([len(history) for history in histories], np.int64),
            "seeds": np.array([seed for seed, _ in played], np.int64),
            "lengths": np.array([len(actions) for _, actions in played], np.int64),
            "actions": np.array([action for _, actions in played for action in actions], np.int32),
        }

    def restore(self, games: slice, arrays: Mapping[str, np.ndarray]) -> None:
        actions, played = (
            iter(arrays["actions"].tolist()),
            zip(arrays["seeds"], arrays["lengths"], strict=True),
        )
        places = range(*games.indices(len(self.envs)))
        for game, number in zip(places, arrays["numbers"], strict=True):
            for seed, length in islice(played, int(number)):
                self.start(game, int(seed))
                history = self.histories[game][-1][1]
                history.extend(islice(actions, int(length)))
                for action in history:
                    self.envs[game].step(action)

    def keep(self, games: np.ndarray) -> None:
        for name in ("envs", "histories"):
            setattr(self, name, [getattr(self, name)[game] for game in games])


class ArrayGames:
    """Games whose states are rows of one array, all advanced at once.

    ages: steps since the start of each; at `limit` it is cut off
    """

    def __init__(self, engine: Any, number: int, limit: int | None) -> None:
        self.engine, self.limit = engine, limit or np.inf
        self.states, self.ages = np.zeros((number, 4)), np.zeros(number, np.int64)

    def start(self, game: int, seed: int) -> np.ndarray:
        self.states[game], observation = self.engine.start(np.random.Generator(np.random.PCG64(seed)))
        self.ages[game] = 0
        return np.asarray(observation)

    def step(self, actions: np.ndarray, live: np.ndarray) -> Stepped:
        self.states, rewards, ended = self.engine.advance(self.states, actions)
        self.ages += 1
        return self.engine.observe(self.states), rewards, ended, self.ages >= self.limit

    def save(self, games: slice) -> dict[str, np.ndarray]:
        return {"states": self.states[games], "ages": self.ages[games]}

    def restore(self, games: slice, arrays: Mapping[str, np.ndarray]) -> None:
        self.states[games], self.ages[games] = arrays["states"], arrays["ages"]

    def keep(self, games: np.ndarray) -> None:
        self.states, self.ages = self.states[games], self.ages[games]
