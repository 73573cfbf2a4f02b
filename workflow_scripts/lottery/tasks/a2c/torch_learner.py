"""The actor-critic learner by torch's autograd: the same task, and any network torch can build."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from ...runs import Run, Task
from ...training.enforcement import masked_step
from ...training.modules import load_network, load_optimizer, optimizer_state, to_array, to_network
from ...weights import Network


class Perceptron(nn.Module):
    """ReLU layers and two linear heads; parameters are named as `learner.draw` names them."""

    def __init__(self, observations: int, hidden: Sequence[int], actions: int) -> None:
        super().__init__()
        sizes = [observations, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.policy, self.value = nn.Linear(sizes[-1], actions), nn.Linear(sizes[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits and the value [games, actions + 1] of observations [games, values]."""
        for layer in self.hidden:
            x = layer(x).relu()
        return torch.cat((self.policy(x), self.value(x)), dim=-1)


class TorchActorCritic:
    """The learner of ensemble.py for networks trained one by one; `step` is torch's RMSprop, masked."""

    def __init__(self, task: Task, runs: Sequence[Run]) -> None:
        self.task, self.like = task, runs[0].start
        torch.set_num_threads(1)  # another number of threads gives other bits
        widths = {name: array.shape for name, array in self.like.tensors.items()}
        observations, actions = widths["hidden.0.weight"][1], widths["policy.bias"][0]
        self.models = [Perceptron(observations, task["hidden"], actions) for _ in runs]
        self.masks = [run.mask or {} for run in runs]
        for model, run in zip(self.models, runs, strict=True):
            load_network(model, run.start)
        self.optimizers = [torch.optim.RMSprop(m.parameters(), **task["optimizer"]) for m in self.models]
        self.steps = [
            masked_step(model, mask, optimizer, None)
            for model, mask, optimizer in zip(self.models, self.masks, self.optimizers, strict=True)
        ]
        self.outputs: list[Tensor] = []

    def act(self, step: int, observations: np.ndarray) -> np.ndarray:
        found = torch.stack(
            [
                model(torch.from_numpy(x))
                for model, x in zip(self.models, observations.astype(np.float32), strict=True)
            ]
        )
        self.outputs = [*self.outputs[:step], found]
        return to_array(found)

    def update(self, actions: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> None:
        self.loss(actions, targets, weight).backward()
        for step in self.steps:
            step()

    def loss(self, actions: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> Tensor:
        """Summed over tickets, which share no parameter; see ActorCritic.output_gradient."""
        outputs = torch.cat(self.outputs[: self.task["rollout"]], dim=1)
        chosen, target, w = (torch.from_numpy(array) for array in (actions, targets, weight))
        log_p, values = outputs[..., :-1].log_softmax(dim=-1), outputs[..., -1]
        error = target - values
        entropy = -(log_p.exp() * log_p).sum(dim=-1)
        log_chosen = log_p.gather(-1, chosen[..., None])[..., 0]
        each = -log_chosen * error.detach() - self.task["entropy_weight"] * entropy
        loss: Tensor = ((each + self.task["value_weight"] * error**2) * w).sum()
        return loss

    def network(self, ticket: int) -> Network:
        return to_network(self.models[ticket], "policy", "value")

    def optimizer_state(self, ticket: int) -> dict[str, np.ndarray]:
        return optimizer_state(self.models[ticket], self.optimizers[ticket])

    def load(self, ticket: int, network: Network, state: Mapping[str, np.ndarray]) -> None:
        load_network(self.models[ticket], network)
        load_optimizer(self.models[ticket], self.optimizers[ticket], state, self.masks[ticket])

    def keep(self, tickets: Sequence[int]) -> None:
        for name in ("models", "masks", "optimizers", "steps"):
            setattr(self, name, [getattr(self, name)[ticket] for ticket in tickets])
