"""An actor-critic network whose gradient is written by hand, for several tickets at once, in numpy.

A trunk of ReLU layers with two linear heads, policy and value. Acting computes the very activations
that the gradient needs, since weights do not change within a rollout; only the backward pass is left.
Matrix products run over tickets one by one, so no ticket's numbers depend on the others.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ... import masks
from ...runs import Arrays, Run, Task
from ...weights import Network


def layer_names(hidden: int) -> list[tuple[str, ...]]:
    """Names of the layers of a network with `hidden` hidden ones; the two heads are one layer."""
    return [(f"hidden.{number}",) for number in range(hidden)] + [("policy", "value")]


def draw(sizes: Sequence[int], actions: int, rng: np.random.Generator) -> Network:
    """A network drawn as torch draws linear layers: all uniform within 1/sqrt(inputs).

    sizes: observation values, then the width of each hidden layer
    """
    tensors: Arrays = {}
    outputs = [(width,) for width in sizes[1:]] + [(actions, 1)]
    for inputs, names, widths in zip(sizes, layer_names(len(sizes) - 1), outputs, strict=True):
        for name, width in zip(names, widths, strict=True):
            for part, shape in (("weight", (width, inputs)), ("bias", (width,))):
                drawn = rng.uniform(-1, 1, shape) * inputs**-0.5
                tensors[f"{name}.{part}"] = drawn.astype(np.float32)
    roles = {name: name.rpartition(".")[2] for name in tensors}
    return Network(tensors, roles, tuple(name for name in tensors if not name.startswith("hidden")))


class ActorCritic:
    """Networks of one shape and their RMSprop states: `act` on each step of a rollout, then `update`.

    weights, moments and kept are [tickets, parameters]; a layer is the view [tickets, inputs + 1,
    outputs] of it, its last row the bias, and each layer's input ends with a 1.
    """

    def __init__(self, task: Task, runs: Sequence[Run]) -> None:
        self.task, self.rows, self.like = task, task["rollout"] * task["environments"], runs[0].start
        first = self.like.tensors
        self.names = layer_names(len(task["hidden"]))
        self.shapes = [
            (first[f"{names[0]}.weight"].shape[1] + 1, sum(len(first[f"{name}.bias"]) for name in names))
            for names in self.names
        ]
        ones = {name: np.ones_like(tensor) for name, tensor in first.items()}
        self.weights = np.stack([self._flat(run.start.tensors) for run in runs])
        self.kept = np.stack([self._flat(masks.apply(run.mask or {}, ones)) for run in runs])
        self.moments = np.zeros_like(self.weights)
        self._allocate()

    def act(self, step: int, observations: np.ndarray) -> np.ndarray:
        """Logits and the value [tickets, games, actions + 1] for observations [tickets, games, values].

        step: in the rollout; `rollout` itself looks one step ahead, from which nothing is learned
        """
        games = observations.shape[1]
        rows = slice(step * games, (step + 1) * games)
        self.inputs[0][:, rows, :-1] = observations
        for layer, x, y in zip(self.layers[:-1], self.inputs[:-1], self.inputs[1:], strict=True):
            np.maximum(np.matmul(x[:, rows], layer), 0, out=y[:, rows, :-1])
        return np.matmul(self.inputs[-1][:, rows], self.layers[-1], out=self.outputs[:, rows])

    def update(self, actions: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> None:
        """One masked RMSprop step on the rollout; the arguments are [tickets, rows].

        targets: of the value; weight: of each transition in the loss, 0 where there was none
        """
        self.backward(self.output_gradient(actions, targets, weight))
        settings, work = self.task["optimizer"], self.work
        self.gradient *= self.kept
        self.moments *= settings["alpha"]
        np.multiply(self.gradient, self.gradient, out=work)
        work *= 1 - settings["alpha"]
        self.moments += work
        np.sqrt(self.moments, out=work)
        work += settings["eps"]
        np.divide(self.gradient, work, out=work)
        work *= settings["lr"]
        self.weights -= work
        self.weights *= self.kept

    def output_gradient(self, actions: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The gradient of the loss by the outputs, [tickets, rows, actions + 1].

        Loss of a transition: -log p(action) (target - value) - e entropy + v (target - value)^2, the
        target and the first difference taken as constants; e and v are the task's weights.
        """
        outputs = self.outputs[:, : self.rows]
        logits, values = outputs[..., :-1], outputs[..., -1]
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        p = powers / powers.sum(axis=-1, keepdims=True)
        log_p = np.log(np.maximum(p, np.finfo(np.float32).tiny))
        entropy = -(p * log_p).sum(axis=-1, keepdims=True)
        advantage = (targets - values) * weight
        chosen = actions[..., None] == np.arange(logits.shape[-1])
        found = np.empty_like(outputs)
        found[..., :-1] = p * (log_p + entropy) * (self.task["entropy_weight"] * weight)[..., None]
        found[..., :-1] += (p - chosen) * advantage[..., None]
        found[..., -1] = -2 * self.task["value_weight"] * advantage
        return found

    def backward(self, above: np.ndarray) -> None:
        """Set `gradient` from the rollout's activations; above: the gradient by the outputs of the layer
        above."""
        for number in reversed(range(len(self.layers))):
            x = self.inputs[number][:, : self.rows]
            np.matmul(x.swapaxes(1, 2), above, out=self.layer_gradients[number])
            if number:
                above = np.matmul(above, self.layers[number][:, :-1].swapaxes(1, 2))
                above *= x[..., :-1] > 0

    def network(self, ticket: int) -> Network:
        return self.like.with_tensors(self._tensors(self.weights[ticket]))

    def optimizer_state(self, ticket: int) -> Arrays:
        """RMSprop's mean squares, named as torch names them."""
        return {f"{name}:square_avg": a for name, a in self._tensors(self.moments[ticket]).items()}

    def load(self, ticket: int, network: Network, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a network and, if there is one, a state of the optimizer."""
        self.weights[ticket] = self._flat(network.tensors)
        if state:
            squares = {name.removesuffix(":square_avg"): array for name, array in state.items()}
            self.moments[ticket] = self._flat(squares) * self.kept[ticket]

    def keep(self, tickets: Sequence[int]) -> None:
        """Drop all but these tickets."""
        index = list(tickets)
        self.weights, self.moments, self.kept = self.weights[index], self.moments[index], self.kept[index]
        self._allocate()

    def _allocate(self) -> None:
        """Views and work space for the tickets there are."""
        self.gradient, self.work = np.empty_like(self.weights), np.empty_like(self.weights)
        self.layers, self.layer_gradients = self._views(self.weights), self._views(self.gradient)
        count = (len(self.weights), self.rows + self.task["environments"])
        self.inputs = [np.ones((*count, inputs), np.float32) for inputs, _ in self.shapes]
        self.outputs = np.zeros((*count, self.shapes[-1][1]), np.float32)

    def _views(self, flat: np.ndarray) -> list[np.ndarray]:
        ends = np.cumsum([inputs * outputs for inputs, outputs in self.shapes])
        parts = np.split(flat, ends[:-1], axis=1)
        return [part.reshape(len(flat), *shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def _flat(self, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        """Named tensors, weights [outputs, inputs], in the order of `weights`."""
        layers = []
        for names in self.names:
            weight = np.concatenate([tensors[f"{name}.weight"] for name in names])
            bias = np.concatenate([tensors[f"{name}.bias"] for name in names])
            layers.append(np.concatenate((weight.T, bias[None])).reshape(-1))
        return np.concatenate(layers)

    def _tensors(self, flat: np.ndarray) -> Arrays:
        """The inverse of `_flat`."""
        found = {}
        for names, layer in zip(self.names, self._views(flat[None]), strict=True):
            parts = np.split(layer[0], [-1], axis=1) if len(names) == 2 else [layer[0]]
            for name, part in zip(names, parts, strict=True):
                found[f"{name}.weight"] = np.ascontiguousarray(part[:-1].T)
                found[f"{name}.bias"] = part[-1].copy()
        return found
