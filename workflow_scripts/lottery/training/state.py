"""What a training by gradient descent changes while it runs, saved and taken up again bit for bit."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..masks import apply
from ..runs import Arrays, Run, Trained
from ..weights import Network, under
from . import ranks
from .checkpoints import Checkpoint
from .modules import load_network, load_optimizer, optimizer_state, to_array, to_network
from .ranks import Share

Rewound = dict[str, tuple[Network, Arrays]]
Row = dict[str, Any]


@dataclass
class State:
    """All that a training changes, but for the random generators: what a checkpoint holds.

    outputs: names of the modules that are the output layer
    carried: tensors that are changed in place from step to step, such as sums since the last evaluation, left
             on the device; each of several processes has its own
    scaler:  of the loss, where float16 needs one
    """

    model: nn.Module
    outputs: tuple[str, ...]
    optimizer: torch.optim.Optimizer
    carried: dict[str, Tensor]
    scaler: torch.amp.GradScaler | None = None
    step: int = 0
    curve: list[Row] = field(default_factory=list)
    rewound: Rewound = field(default_factory=dict)
    seconds: float = 0.0  # trained before this process
    started: float = field(default_factory=time.monotonic)

    def total_seconds(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def network(self) -> Network:
        return to_network(self.model, *self.outputs)

    def backward(self, loss: Tensor) -> None:
        (self.scaler.scale(loss) if self.scaler else loss).backward()

    def keep(self, point: str) -> None:
        """Note the network and the optimizer's state at a rewind point."""
        self.rewound[point] = (self.network(), optimizer_state(self.model, self.optimizer))

    def save(self, checkpoint: Checkpoint, share: Share) -> None:
        """Called in all processes; the first writes, for each what it alone has: `carried` and generators."""
        alone = {**self.carried, "random": torch.get_rng_state()}
        if torch.cuda.is_available():
            alone["random cuda"] = torch.cuda.get_rng_state()
        arrays = {name: to_array(ranks.from_all(tensor, share)) for name, tensor in alone.items()}
        if not checkpoint.writes:
            return
        points = {"now": (self.network(), optimizer_state(self.model, self.optimizer)), **self.rewound}
        for point, (network, moments) in points.items():
            arrays |= {f"{point} network {name}": array for name, array in network.tensors.items()}
            arrays |= {f"{point} optimizer {name}": array for name, array in moments.items()}
        kept: Row = {"step": self.step, "curve": self.curve, "seconds": self.total_seconds()}
        if self.scaler:
            kept["scaler"] = self.scaler.state_dict()
        checkpoint.save(arrays, {**kept, "rewound": list(self.rewound)})

    def restore(self, checkpoint: Checkpoint, share: Share) -> None:
        """Take up the last save, if there is one."""
        saved = checkpoint.load()
        if saved is None:
            return
        arrays, state = saved
        like = self.network()

        def point(name: str) -> tuple[Network, Arrays]:
            network = {key: arrays[f"{name} network {key}"] for key in like.tensors}
            return like.with_tensors(network), under(arrays, f"{name} optimizer ")

        def alone(name: str) -> Tensor:
            return ranks.own(torch.from_numpy(arrays[name]), share)

        network, moments = point("now")
        load_network(self.model, network)
        load_optimizer(self.model, self.optimizer, moments, {})
        for name, tensor in self.carried.items():
            tensor.copy_(alone(name))
        self.step, self.curve, self.seconds = state["step"], state["curve"], state["seconds"]
        if self.scaler:
            self.scaler.load_state_dict(state["scaler"])
        self.rewound = {name: point(name) for name in state["rewound"]}
        torch.set_rng_state(alone("random"))
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(alone("random cuda"))

    def trained(self, run: Run, metrics: Row) -> Trained:
        """A training that ended well."""
        network = self.network()
        network = network.with_tensors(apply(run.mask or {}, network.tensors))
        return Trained(network, metrics, self.curve, self.total_seconds(), self.rewound)

    def failed(self, run: Run, status: str, reason: str) -> Trained:
        """A result that counts at chance; rewind points not reached hold the network as it is."""
        network = self.network()
        network = network.with_tensors(apply(run.mask or {}, network.tensors))
        missing: Rewound = {point: (network, {}) for point in run.rewind_points if point not in self.rewound}
        metrics = {"steps": self.step}
        rewound = self.rewound | missing
        return Trained(network, metrics, self.curve, self.total_seconds(), rewound, status, reason)
