"""Games that somebody registers: `own_games:Walk-v0` imports this module, as gymnasium.make does."""

import gymnasium
import numpy as np
from gymnasium.envs.registration import WrapperSpec, register
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import RecordConstructorArgs


class Walk(gymnasium.Env):
    """Three values that actions move; a reward of 1 a step; cuts itself off after 20 steps.

    broken: what is not finite at its step 7
    """

    metadata = {"render_modes": []}  # noqa: RUF012
    action_space, observation_space = Discrete(2), Box(-np.inf, np.inf, (3,), np.float32)

    def __init__(self, broken=""):
        self.broken, self.age = broken, 20

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.age = self.np_random.normal(size=3), 0
        return self.state.astype(np.float32), {}

    def step(self, action):
        assert self.age < 20, "stepped past its end"
        self.age += 1
        self.state = self.state + (action - 0.5) * self.np_random.random(3)
        values = {"observation": self.state.astype(np.float32), "reward": 1.0}
        if self.age == 7 and self.broken:
            values[self.broken] = values[self.broken] * np.float32(np.nan)
        return values["observation"], values["reward"], False, self.age == 20, {}


class Times(gymnasium.RewardWrapper, RecordConstructorArgs):
    def __init__(self, env, factor):
        RecordConstructorArgs.__init__(self, factor=factor)
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return reward * self.factor


class Clocked(gymnasium.ObservationWrapper, RecordConstructorArgs):
    """One value more: the steps since the game was made, which go on from one play to the next."""

    def __init__(self, env):
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.observation_space, self.steps = Box(-np.inf, np.inf, (4,), np.float32), 0

    def observation(self, observation):
        self.steps += 1
        return np.append(observation, np.float32(self.steps / 100))


class TwoAtOnce(gymnasium.Wrapper):
    """An action counts for two steps."""

    def step(self, action):
        _, first, ended, cut, more = self.env.step(action)
        if ended or cut:
            return _, first, ended, cut, more
        observation, second, ended, cut, more = self.env.step(action)
        return observation, first + second, ended, cut, more


class Liar(Walk):
    """Begins with another observation than its space says."""

    def reset(self, *, seed=None, options=None):
        return np.zeros(5, np.float32), {}


class Later(Walk):
    """Shows what is wrong with it at its first step only."""

    def step(self, action):
        observation, reward, *more = super().step(action)
        if self.broken == "grows":
            return np.append(observation, np.float32(0)), reward, *more
        if self.broken == "unpaid":
            return observation, None, *more
        raise RuntimeError("connection\nlost")


def five_times(**settings):
    """A game wrapped by its entry point."""
    return Times(Walk(**settings), 5)


def two_at_once():
    return TwoAtOnce(Walk())


def cannot_be_made():
    raise RuntimeError("no licence\nfound")


def wrapper(name, **settings):
    return WrapperSpec(name, f"{__name__}:{name}", settings)


POLE = "gymnasium.envs.classic_control.cartpole:CartPoleEnv"
register("Walk-v0", f"{__name__}:Walk")
register("Walk-v1", f"{__name__}:Walk", max_episode_steps=15)
register("TenTimes-v0", f"{__name__}:Walk", additional_wrappers=(wrapper("Times", factor=10),))
register("FiveTimes-v0", f"{__name__}:five_times")
register("Clocked-v0", f"{__name__}:Walk", additional_wrappers=(wrapper("Clocked"),))
register("TwoAtOnce-v0", f"{__name__}:two_at_once")
register("BadReward-v0", f"{__name__}:Walk", kwargs={"broken": "reward"})
register("BadObservation-v0", f"{__name__}:Walk", kwargs={"broken": "observation"})
register("Liar-v0", f"{__name__}:Liar")
register("Grows-v0", f"{__name__}:Later", kwargs={"broken": "grows"})
register("Unpaid-v0", f"{__name__}:Later", kwargs={"broken": "unpaid"})
register("Stops-v0", f"{__name__}:Later")
register("CannotBeMade-v0", f"{__name__}:cannot_be_made")
register("SuttonsPole-v0", POLE, max_episode_steps=30, kwargs={"sutton_barto_reward": True})
register("TenTimesPole-v0", POLE, max_episode_steps=30, additional_wrappers=(wrapper("Times", factor=10),))
