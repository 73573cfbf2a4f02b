"""Advantage actor-critic on parallel games (Yu et al. 2020, section 4.2), several tickets side by side.

Every ticket plays `environments` games at once. All are played for `rollout` steps, then the network
is updated once from them; a game that has ended takes one step more, to start again, which is not
learned from. Each ticket has its own games, seeds and random actions, and no number of one depends
on the others, so tickets train alone or in any company with the same bits.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from ...masks import apply
from ...runs import Arrays, Run, Task, Trained
from ...seeds import generator, seed_for
from ...tickets import empty_layers
from ...training.checkpoints import Checkpoint, exit_if, identity
from ...training.progress import Progress
from ...weights import Network, under
from . import games
from .learner import ActorCritic
from .settings import METRIC, first_game, steps

CURVE = ("step", "game", METRIC, "length")
SAVED = 2  # raised when a checkpoint holds something else: older ones are not taken up
COUNTERS = ("observations", "waiting", "rewards", "lengths", "begun")


class Learner(Protocol):
    """Networks of one shape and their optimizers: see ActorCritic, the first of two."""

    def act(self, step: int, observations: np.ndarray) -> np.ndarray: ...
    def update(self, actions: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> None: ...
    def network(self, ticket: int) -> Network: ...
    def optimizer_state(self, ticket: int) -> Arrays: ...
    def load(self, ticket: int, network: Network, state: Mapping[str, np.ndarray]) -> None: ...
    def keep(self, tickets: Sequence[int]) -> None: ...


@dataclass
class Agent:
    """One ticket in training: what a checkpoint holds beside its network and the state of its games.

    place:   its number among all runs that were handed in
    first:   finished games at which its schedule begins
    actions: the random stream of its actions
    record:  [step, reward, length] of each finished game; steps are those of all its games together
    failure: status and reason of a training that cannot go on
    """

    place: int
    run: Run
    checkpoint: Checkpoint
    first: int
    actions: np.random.Generator
    progress: Progress
    record: list[list[float]] = field(default_factory=list)
    rewound: dict[str, tuple[Network, Arrays]] = field(default_factory=dict)
    steps: int = 0
    updates: int = 0
    failure: tuple[str, str] | None = None
    seconds: float = 0.0  # its share of the wall time


def train(task: Task, runs: Sequence[Run]) -> list[Trained]:
    """Train the networks together until each has finished its games.

    A network whose policy no observation reaches is `collapsed` and is not trained; outputs that are
    not finite end a training as `diverged`.
    """
    results: dict[int, Trained] = {}
    with threadpool_limits(1):  # another number of threads gives other bits
        ensemble = Ensemble(task, runs)
        ensemble.restore()
        ensemble.retire(results)
        while ensemble.agents:
            started = time.monotonic()
            ensemble.play_rollout()
            for agent in ensemble.agents:
                agent.seconds += (time.monotonic() - started) / len(ensemble.agents)
            ensemble.retire(results)
            if any(agent.checkpoint.due for agent in ensemble.agents):
                ensemble.save()
                exit_if(runs[0].process.stop())
    return [results[place] for place in range(len(runs))]


class Ensemble:
    """Agents, their networks and their games; arrays are [agents, environments, ...].

    waiting: games that have ended, and start again in the next step
    """

    def __init__(self, task: Task, runs: Sequence[Run]) -> None:
        self.task, self.game = task, games.find(task["game"])
        self.total = steps(task, task["length"])
        self.points = {point: steps(task, point) for run in runs for point in run.rewind_points}
        self.agents = [self._agent(place, run) for place, run in enumerate(runs)]
        self.learner = learner(task, runs)
        for place, run in enumerate(runs):
            self.learner.load(place, run.start, run.optimizer)
        shape = (len(runs), task["environments"])
        self.games = games.make(self.game, shape[0] * shape[1])
        self.observations = np.zeros((*shape, self.game.observations), np.float32)
        self.waiting = np.ones(shape, bool)
        self.rewards, self.lengths = np.zeros(shape), np.zeros(shape, np.int64)
        self.begun = np.zeros(shape, np.int64)  # games begun in each place, which number their seeds
        self._find_collapsed()

    def _agent(self, place: int, run: Run) -> Agent:
        first = first_game(self.task, run.rewind.schedule)
        return Agent(
            place=place,
            run=run,
            checkpoint=Checkpoint(run, identity({**self.task, "state": SAVED}, run)),
            first=first,
            actions=generator(run.noise, "actions"),
            progress=Progress(run.name, "game", 0, self.total - first),
        )

    def play_rollout(self) -> None:
        """Play `rollout` steps of all games and update every network once."""
        rollout, environments = self.task["rollout"], self.task["environments"]
        shape = (len(self.agents), rollout, environments)
        draws = np.stack([agent.actions.random(shape[1:], np.float32) for agent in self.agents])
        outputs = np.empty((shape[0], rollout + 1, environments, self.game.actions + 1), np.float32)
        actions, rewards = np.empty(shape, np.int64), np.empty(shape, np.float32)
        live, final = np.empty(shape, bool), np.empty(shape, bool)
        for t in range(rollout):
            outputs[:, t], live[:, t] = self.learner.act(t, self.observations), ~self.waiting
            actions[:, t] = sample(outputs[:, t, :, :-1], draws[:, t])
            rewards[:, t], final[:, t] = self._step(actions[:, t], live[:, t])
        outputs[:, rollout] = self.learner.act(rollout, self.observations)
        goals = targets(self.task, outputs[..., -1], rewards, live, final)
        weight = live.astype(np.float32)
        if self.task["reduction"] == "mean":
            weight /= np.maximum(weight.sum((1, 2), keepdims=True), 1)
        flat = (shape[0], rollout * environments)
        self.learner.update(actions.reshape(flat), goals.reshape(flat), weight.reshape(flat))
        for agent, seen in zip(self.agents, outputs, strict=True):
            agent.updates += 1
            if not np.isfinite(seen).all():
                agent.failure = agent.failure or ("diverged", f"outputs not finite at step {agent.steps}")

    def _step(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step of every game: scaled rewards, and which games ended in a state worth nothing."""
        flat = self.games.step(actions.reshape(-1), live.reshape(-1))
        observations, rewards, ended, cut = (a.reshape(*live.shape, *a.shape[1:]) for a in flat)
        self.rewards += rewards
        self.lengths += 1
        for place, number in places(self.waiting):
            seed = seed_for(self.agents[place].run.noise, "game", number, self.begun[place, number])
            observations[place, number] = self.games.start(place * live.shape[1] + number, seed)
            for array in (self.rewards, self.lengths, rewards, ended, cut):
                array[place, number] = 0
            self.begun[place, number] += 1
        for place, agent in enumerate(self.agents):
            agent.steps += int(np.count_nonzero(live[place]))
        self.observations, self.waiting = observations, ended | cut
        self._fail_unless("reward", games.finite(self.rewards))
        self._fail_unless("observation", np.logical_and.reduce(np.isfinite(observations), axis=-1))
        for place, number in places(self.waiting):
            self._finish(place, number)
        final = ended if self.task["bootstrap_timeouts"] else self.waiting
        return rewards * self.task["reward_scale"], final

    def _fail_unless(self, what: str, finite: np.ndarray) -> None:
        """Fail the agents of games [agents, environments] that have given a number that is not finite."""
        for place, _ in places(~finite):
            agent = self.agents[place]
            agent.failure = agent.failure or ("diverged", f"{what} not finite at step {agent.steps}")

    def _finish(self, place: int, number: int) -> None:
        """Record a game that has ended, unless the training has failed or has all its games already."""
        agent, total = self.agents[place], self.total - self.agents[place].first
        if agent.failure or len(agent.record) == total:
            return
        length = int(self.lengths[place, number])
        agent.record.append([agent.steps, float(self.rewards[place, number]), length])
        done = len(agent.record)
        if done % self.task["episodes"] == 0 or done == total:
            latest = np.mean([row[1] for row in agent.record[-self.task["episodes"] :]])
            agent.progress(done, METRIC, float(latest))

    def retire(self, results: dict[int, Trained]) -> None:
        """Keep the rewind points just reached; hand back the agents that are done and drop them."""
        for index, agent in enumerate(self.agents):
            for point in agent.run.rewind_points:
                if point not in agent.rewound and len(agent.record) >= self.points[point] - agent.first:
                    state = self.learner.optimizer_state(index)
                    agent.rewound[point] = (self.learner.network(index), state)
            if agent.failure or len(agent.record) == self.total - agent.first:
                results[agent.place] = self._trained(index, agent)
        playing = [index for index, agent in enumerate(self.agents) if agent.place not in results]
        if len(playing) == len(self.agents):
            return
        self.agents = [self.agents[index] for index in playing]
        self.learner.keep(playing)
        numbers = np.arange(self.waiting.size).reshape(self.waiting.shape)
        self.games.keep(numbers[playing].reshape(-1))
        for name in COUNTERS:
            setattr(self, name, getattr(self, name)[playing])

    def _trained(self, index: int, agent: Agent) -> Trained:
        network = self.learner.network(index)
        network = network.with_tensors(apply(agent.run.mask or {}, network.tensors))
        rewards = [row[1] for row in agent.record]
        if not agent.failure and not all(np.isfinite(a).all() for a in network.tensors.values()):
            agent.failure = ("diverged", f"weights not finite at step {agent.steps}")
        status, reason = agent.failure or ("ok", "")
        metrics: dict[str, Any] = {}
        if status == "ok":
            last = rewards[-self.task["reward_episodes"] :]
            metrics[METRIC] = float(np.mean(last))
            if len(last) > 1:
                error = float(np.std(last, ddof=1) / np.sqrt(len(last)))
                metrics |= {"examples": len(last), "standard_error": error}
            metrics["training_reward"] = float(np.mean(rewards))
        metrics |= {"games": len(rewards), "steps": agent.steps, "updates": agent.updates}
        metrics |= {"game": self.game.played, "game_note": self.game.note}
        missing = [point for point in agent.run.rewind_points if point not in agent.rewound]
        rewound = agent.rewound | {point: (network, {}) for point in missing}
        curve = [
            dict(zip(CURVE, (row[0], n, *row[1:]), strict=True)) for n, row in enumerate(agent.record, 1)
        ]
        return Trained(network, metrics, curve, agent.seconds, rewound, status, reason)

    def _find_collapsed(self) -> None:
        """Fail the agents whose policy is the same for any two of 1000 random observations."""
        rng, count = np.random.default_rng(0), -(-1000 // self.task["environments"])
        seen = [self.learner.act(0, rng.normal(size=self.observations.shape)).copy() for _ in range(count)]
        for agent, outputs in zip(self.agents, np.concatenate(seen, axis=1), strict=True):
            logits = outputs[:, :-1]
            if (empty := empty_layers(agent.run.mask)) and (logits == logits[0]).all():
                agent.failure = ("collapsed", f"no weights left in {', '.join(empty)}")

    def save(self) -> None:
        """Write every agent's checkpoint."""
        environments = self.task["environments"]
        for index, agent in enumerate(self.agents):
            played = self.games.save(slice(index * environments, (index + 1) * environments))
            arrays = {f"games {name}": array for name, array in played.items()}
            arrays |= {name: getattr(self, name)[index] for name in COUNTERS}
            arrays["record"] = np.array(agent.record, np.float64).reshape(-1, 3)
            points = {"now": (self.learner.network(index), self.learner.optimizer_state(index))}
            for point, (network, moments) in (points | agent.rewound).items():
                arrays |= {f"{point} network {name}": array for name, array in network.tensors.items()}
                arrays |= {f"{point} optimizer {name}": array for name, array in moments.items()}
            state: dict[str, Any] = {"steps": agent.steps, "updates": agent.updates, "seconds": agent.seconds}
            state |= {"rewound": list(agent.rewound), "actions": agent.actions.bit_generator.state}
            agent.checkpoint.save(arrays, state)

    def restore(self) -> None:
        """Take up each agent's last save, if it has one."""
        environments = self.task["environments"]
        for index, agent in enumerate(self.agents):
            saved = agent.checkpoint.load()
            if saved is None:
                continue
            arrays, state = saved
            self.games.restore(
                slice(index * environments, (index + 1) * environments), under(arrays, "games ")
            )
            for name in COUNTERS:
                getattr(self, name)[index] = arrays[name]
            points = {
                point: (
                    agent.run.start.with_tensors(under(arrays, f"{point} network ")),
                    under(arrays, f"{point} optimizer "),
                )
                for point in ("now", *state["rewound"])
            }
            self.learner.load(index, *points.pop("now"))
            agent.rewound = points
            record = arrays["record"].tolist()
            agent.record = [[int(step), reward, int(length)] for step, reward, length in record]
            agent.steps, agent.updates, agent.seconds = state["steps"], state["updates"], state["seconds"]
            agent.actions.bit_generator.state = state["actions"]


def places(which: np.ndarray) -> list[tuple[int, int]]:
    """Where `which` [agents, environments] is true."""
    return [(int(a), int(e)) for a, e in np.argwhere(which)] if which.any() else []


def learner(task: Task, runs: Sequence[Run]) -> Learner:
    if task["learner"] == "torch":
        from .torch_learner import TorchActorCritic

        return TorchActorCritic(task, runs)
    return ActorCritic(task, runs)


def sample(logits: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """An action for each row of logits [..., actions] from its uniform draw [...]."""
    sums = np.exp(logits - logits.max(axis=-1, keepdims=True)).cumsum(axis=-1)
    found: np.ndarray = (sums[..., :-1] <= (draws * sums[..., -1])[..., None]).sum(axis=-1)
    return found


def targets(
    task: Task, values: np.ndarray, rewards: np.ndarray, live: np.ndarray, final: np.ndarray
) -> np.ndarray:
    """What the values of a rollout should be: rewards of up to `n_step` steps and the value of the state
    then.

    values [agents, rollout + 1, environments], the rest [agents, rollout, environments]. A game that is
    not live stands at its last state, whose value counts unless the state is final.
    """
    found = values[:, :-1]
    for _ in range(task["n_step"]):
        following = np.concatenate((found[:, 1:], values[:, -1:]), axis=1)
        step = rewards + np.float32(task["discount"]) * following * ~final
        found = np.where(live, step, values[:, :-1])
    return found
