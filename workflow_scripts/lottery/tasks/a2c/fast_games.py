"""gymnasium's games made faster, every operation in its order, so that each number has the same bits.

CartPole and Acrobot advance all games at once in numpy; LunarLander is gymnasium's own world of Box2D
with a shorter step.
"""

import math
from typing import Any

import numpy as np


class CartPole:
    """A state: cart position (m) and velocity (m/s), pole angle (rad) and angular velocity (rad/s)."""

    @staticmethod
    def start(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        state = rng.uniform(-0.05, 0.05, 4)
        return state, state.astype(np.float32)

    @staticmethod
    def observe(states: np.ndarray) -> np.ndarray:
        return states.astype(np.float32)

    @staticmethod
    def advance(states: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        _, _, angle, turn = states.T
        force = 20.0 * actions - 10.0
        cos, sin = np.cos(angle), np.sin(angle)
        push = (force + 0.05 * np.square(turn) * sin) / 1.1
        spin = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * np.square(cos) / 1.1))
        change = np.empty_like(states)
        change[:, ::2] = states[:, 1::2]
        change[:, 1] = push - 0.05 * spin * cos / 1.1
        change[:, 3] = spin
        states = states + 0.02 * change
        outside = np.abs(states[:, ::2]) > (2.4, 12 * 2 * math.pi / 360)
        return states, np.ones(len(states)), outside[:, 0] | outside[:, 1]


class Acrobot:
    """A state: the two joint angles (rad) and their angular velocities (rad/s)."""

    @staticmethod
    def start(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        state = rng.uniform(-0.1, 0.1, 4).astype(np.float32)
        return state, Acrobot.observe(state[None])[0]

    @staticmethod
    def observe(states: np.ndarray) -> np.ndarray:
        found = np.empty((len(states), 6), np.float32)
        found[:, 0:4:2], found[:, 1:4:2] = np.cos(states[:, :2]), np.sin(states[:, :2])
        found[:, 4:] = states[:, 2:]
        return found

    @staticmethod
    def advance(states: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        torque, y = actions - 1.0, states.T
        k1 = Acrobot._derivative(y, torque)
        k2 = Acrobot._derivative(y + 0.1 * k1, torque)
        k3 = Acrobot._derivative(y + 0.1 * k2, torque)
        k4 = Acrobot._derivative(y + 0.2 * k3, torque)
        y = y + 0.2 / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
        angles, turns = y[:2], y[2:]
        while (far := angles > math.pi).any():
            angles[far] -= 2 * math.pi
        while (far := angles < -math.pi).any():
            angles[far] += 2 * math.pi
        fastest = np.array([[4 * math.pi], [9 * math.pi]])
        np.clip(turns, -fastest, fastest, out=turns)
        ended = -np.cos(angles[0]) - np.cos(angles[1] + angles[0]) > 1.0
        return np.ascontiguousarray(y.T), ended - 1.0, ended

    @staticmethod
    def _derivative(y: np.ndarray, torque: np.ndarray) -> np.ndarray:
        """Time derivative of states [4, games] (Sutton & Barto's book; all lengths and masses 1)."""
        angle1, angle2, turn1, turn2 = y
        cos2, sin2 = np.cos(angle2), np.sin(angle2)
        d1 = 0.25 + (1.25 + cos2) + 1.0 + 1.0
        d2 = 0.25 + 0.5 * cos2 + 1.0
        squares = np.float_power(
            [turn1, turn2, d2], 2
        )  # as numpy squares a scalar, which `**` on arrays does not
        phi2 = 0.5 * 9.8 * np.cos(angle1 + angle2 - math.pi / 2.0)
        phi1 = -0.5 * squares[1] * sin2 - turn2 * turn1 * sin2
        phi1 = phi1 + 1.5 * 9.8 * np.cos(angle1 - math.pi / 2) + phi2
        found = np.empty_like(y)
        found[:2] = turn1, turn2
        found[3] = (torque + d2 / d1 * phi1 - 0.5 * squares[0] * sin2 - phi2) / (1.25 - squares[2] / d1)
        found[2] = -(d2 * found[3] + phi1) / d1
        return found


class LunarLander:
    """gymnasium's LunarLander with numbered actions and no wind, reset by itself; 30 pixels are 1 m."""

    def __init__(self, limit: int | None) -> None:
        from gymnasium.envs.box2d.lunar_lander import LunarLander

        self.env: Any = LunarLander()
        self.limit = limit or math.inf

    def reset(self, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        found: tuple[np.ndarray, dict[str, Any]] = self.env.reset(seed=seed)
        self.lander, self.legs, self.shaping = self.env.lander, self.env.legs, self.env.prev_shaping
        self.at = (*self.lander.position, self.lander.angle)
        self.dispersions: list[float] = []
        self.age = 0
        return found

    def step(self, action: int) -> tuple[tuple[float, ...], float, bool, bool, None]:
        lander, fuel = self.lander, 0.0
        if not self.dispersions:  # 64 steps at once
            self.dispersions = ((-1.0 + 2.0 * self.env.np_random.random(128)) / 30.0).tolist()[::-1]
        along, across = self.dispersions.pop(), self.dispersions.pop()
        if action:
            x, y, angle = self.at
            sin, cos = math.sin(angle), math.cos(angle)
            if action == 2:  # the main engine
                power, fuel, up = 13.0, 0.30, 4 / 30.0 + 2 * along
                dx, dy = sin * up + -cos * across, -cos * up - sin * across
                point = (x + dx, y + dy)
            else:
                power, fuel, side = 0.6, 0.03, 3 * across + (action - 2) * 12 / 30.0
                dx, dy = sin * along + -cos * side, -cos * along - sin * side
                point = (x + dx - sin * 17 / 30.0, y + dy + cos * 14 / 30.0)
            lander.ApplyLinearImpulse((-dx * power, -dy * power), point, True)
        self.env.world.Step(1.0 / 50, 6 * 30, 2 * 30)

        (x, y), (dx, dy), angle = lander.position, lander.linearVelocity, lander.angle
        self.at = x, y, angle
        x, y = (x - 10.0) / 10.0, (y - (self.env.helipad_y + 18 / 30.0)) / (20 / 3)
        dx, dy = dx * 10.0 / 50, dy * (20 / 3) / 50
        left, right = (float(leg.ground_contact) for leg in self.legs)
        shaping = -100 * math.sqrt(x * x + y * y) - 100 * math.sqrt(dx * dx + dy * dy)
        shaping = shaping - 100 * abs(angle) + 10 * left + 10 * right
        reward, self.shaping = shaping - self.shaping - fuel, shaping
        ended = self.env.game_over or abs(x) >= 1.0
        if ended:
            reward = -100.0
        if not lander.awake:
            ended, reward = True, 100.0
        state = (x, y, dx, dy, angle, 20.0 * lander.angularVelocity / 50, left, right)
        self.age += 1
        return state, reward, ended, self.age >= self.limit, None


POLE = "gymnasium.envs.classic_control.cartpole:CartPoleEnv"
SWING = "gymnasium.envs.classic_control.acrobot:AcrobotEnv"
MOON = "gymnasium.envs.box2d.lunar_lander:LunarLander"
# gymnasium's entry point -> the same game; all at once, or one by one
ARRAYS: dict[str, Any] = {POLE: CartPole, SWING: Acrobot}
SINGLE: dict[str, Any] = {MOON: LunarLander}
# the ids that tests/test_games.py proves, and the entry points that they stand for
PROVED = {"CartPole-v0": POLE, "CartPole-v1": POLE, "Acrobot-v1": SWING, "LunarLander-v3": MOON}
