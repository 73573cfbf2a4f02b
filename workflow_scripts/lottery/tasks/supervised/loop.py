"""The supervised training loop: exact masks, data on the device, resumable at any step bit for bit."""

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ... import plugins
from ...data.images import describe
from ...masks import apply
from ...runs import Arrays, Process, Run, Task, Trained
from ...seeds import seed_for
from ...tickets import empty_layers
from ...training import ranks
from ...training.checkpoints import Checkpoint, exit_if, identity
from ...training.enforcement import masked_step
from ...training.modules import load_network, load_optimizer, optimizer_state, to_array, to_network
from ...training.progress import Progress
from ...training.ranks import Share
from ...weights import Network, under
from . import from_files, in_memory
from .from_files import FromFiles
from .in_memory import InMemory
from .settings import METRIC, image_shape, options, steps, streamed

Rewound = dict[str, tuple[Network, Arrays]]
Examples = InMemory | FromFiles
Row = dict[str, Any]
ALONE = ("sums", "random", "random cuda")  # what each of several processes has for itself


def build(task: Task) -> tuple[nn.Module, str]:
    """The task's model and the name of its output layer."""
    model, classes = plugins.find("models", task["model"]["name"]), describe(task["dataset"]).classes
    return model.build(image_shape(task), classes, **options(task)), model.OUTPUT


def make_optimizer(model: nn.Module, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    common = {"lr": settings["lr"], "weight_decay": settings["weight_decay"], "fused": True}
    if settings["name"] == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=settings["momentum"], **common)
    return torch.optim.Adam(model.parameters(), betas=tuple(settings["betas"]), eps=settings["eps"], **common)


def first_step(task: Task, schedule_from: str) -> int:
    """The step of the task's schedule, and of its data order, that a training begins with."""
    return 0 if schedule_from in ("start", "end") else steps(task, schedule_from)


def learning_rates(task: Task, schedule_from: str) -> list[float]:
    """The learning rate of every step to train.

    schedule_from: `start`, a point to go on from, or `end` for the whole length at the last rate
    """
    schedule, length = task["schedule"], steps(task, task["length"])
    milestones = [steps(task, point) for point in schedule["milestones"]]

    def rate(step: int) -> float:
        warm = min(1.0, (step + 1) / max(1, schedule["warmup"]))
        return float(task["optimizer"]["lr"] * warm * schedule["gamma"] ** sum(step >= m for m in milestones))

    if schedule_from == "end":
        return [rate(length - 1)] * length
    return [rate(step) for step in range(first_step(task, schedule_from), length)]


@dataclass
class State:
    """All that a training changes, but for the random generators: what a checkpoint holds."""

    model: nn.Module
    output: str
    optimizer: torch.optim.Optimizer
    sums: Tensor  # loss and correct answers since the last evaluation, left on the device
    step: int = 0
    curve: list[Row] = field(default_factory=list)
    rewound: Rewound = field(default_factory=dict)
    seconds: float = 0.0  # trained before this process
    started: float = field(default_factory=time.monotonic)

    def total_seconds(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def network(self) -> Network:
        return to_network(self.model, self.output)

    def save(self, checkpoint: Checkpoint, share: Share) -> None:
        """Called in all processes; the first one writes, for each what it alone has: sums and generators."""
        alone = {"sums": self.sums, "random": torch.get_rng_state()}
        if torch.cuda.is_available():
            alone["random cuda"] = torch.cuda.get_rng_state()
        arrays = {name: to_array(ranks.from_all(tensor, share)) for name, tensor in alone.items()}
        if not checkpoint.writes:
            return
        points = {"now": (self.network(), optimizer_state(self.model, self.optimizer)), **self.rewound}
        for point, (network, moments) in points.items():
            arrays |= {f"{point} network {name}": array for name, array in network.tensors.items()}
            arrays |= {f"{point} optimizer {name}": array for name, array in moments.items()}
        kept = {"step": self.step, "curve": self.curve, "seconds": self.total_seconds()}
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

        network, moments = point("now")
        load_network(self.model, network)
        load_optimizer(self.model, self.optimizer, moments, {})
        alone = {name: ranks.own(torch.from_numpy(arrays[name]), share) for name in ALONE if name in arrays}
        self.sums.copy_(alone["sums"])
        self.step, self.curve, self.seconds = state["step"], state["curve"], state["seconds"]
        self.rewound = {name: point(name) for name in state["rewound"]}
        torch.set_rng_state(alone["random"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(alone["random cuda"])


def train(task: Task, run: Run) -> Trained:
    """Train one network for the rest of its schedule, on as many GPUs as the task says.

    A network in which the input no longer reaches the output is `collapsed` and is not trained; a
    loss that is not finite ends the training as `diverged`.
    """
    number = ranks.number(task, torch.cuda.device_count())
    if number > 1:
        return ranks.train(train_share, task, run, number)
    return train_share(task, run, Share())


def train_share(task: Task, run: Run, share: Share) -> Trained:
    """Train on one device, on its share of every batch."""
    device = deterministic_device(share)
    torch.manual_seed(seed_for(run.noise, "dropout", *([share.rank] if share.rank else [])))
    assert run.data is not None
    data = load_data(task, run.data, run.process, device)
    model, output = build(task)
    load_network(in_memory_format(model.to(device)), run.start)
    state = State(model, output, make_optimizer(model, task["optimizer"]), torch.zeros(2, device=device))
    if (empty := empty_layers(run.mask)) and not input_matters(model, data):
        return failed(task, run, state, "collapsed", f"no weights left in {', '.join(empty)}")

    load_optimizer(model, state.optimizer, run.optimizer, run.mask or {})
    checkpoint = Checkpoint(run, identity(task, run), writes=share.rank == 0)
    state.restore(checkpoint, share)
    update = masked_step(model, run.mask, state.optimizer, task["clip_norm"])
    forward = compiled(task, ranks.averaging_gradients(model, share))
    rates, every = learning_rates(task, run.rewind.schedule), steps(task, task["evaluate_every"])
    wanted = {point: steps(task, point) for point in run.rewind_points}
    progress = Progress(run.name, "step", state.step, len(rates))
    per_epoch, first = data.size("train") // task["batch_size"], first_step(task, run.rewind.schedule)
    if not state.curve:
        state.curve.append(evaluation(task, state, data, 0, share))

    while state.step < len(rates):
        epoch, done = divmod(first + state.step, per_epoch)
        for images, target in data.training(run.noise, epoch, done, share):
            for group in state.optimizer.param_groups:
                group["lr"] = rates[state.step]
            with precision(task, device):
                logits = forward(images).float()
            loss = F.cross_entropy(logits, target)
            loss.backward()
            update()
            state.step += 1
            state.sums += torch.stack((loss.detach(), (logits.argmax(1) == target).float().mean()))
            for point in [point for point, step in wanted.items() if step == state.step]:
                state.rewound[point] = (state.network(), optimizer_state(model, state.optimizer))
            if state.step % every == 0 or state.step == len(rates):
                row = evaluation(task, state, data, state.step, share)
                state.curve.append(row)
                progress(state.step, METRIC, row[METRIC])
                if not all(math.isfinite(row[key] or 0) for key in row):
                    return failed(task, run, state, "diverged", f"loss not finite at step {state.step}")
            if ranks.agreed(checkpoint.due, share):
                state.save(checkpoint, share)
                exit_if(ranks.agreed(run.process.stop(), share))
            if state.step == len(rates):
                break

    network = state.network()
    last = state.curve[-1]
    metrics = {
        "test_accuracy": last["test_accuracy"],
        "test_loss": last["test_loss"],
        **training_set(task, state, data, share),
        "steps": state.step,
        **sampling(last["test_accuracy"], data.size("test")),
        **early_stop(state.curve),
    }
    network = network.with_tensors(apply(run.mask or {}, network.tensors))
    return Trained(network, metrics, state.curve, state.total_seconds(), state.rewound)


def deterministic_device(share: Share) -> torch.device:
    """The device to compute on, which from now on gives the same bits for the same work."""
    torch.set_num_threads(1)  # another number of threads gives other bits
    if not torch.cuda.is_available():
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it beside the next line
    torch.use_deterministic_algorithms(True)  # imports a compiler, two seconds; one CPU thread needs none
    return torch.device("cuda", share.rank)


def load_data(task: Task, path: Path, process: Process, device: torch.device) -> Examples:
    """The prepared data set, its images in memory or read from their files as they are wanted."""
    if streamed(task):
        return from_files.load(path, task, device, process.data_root)
    return in_memory.load(path, task, device)


def compiled(task: Task, model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The model's forward pass, compiled where the task says so; evaluation uses the model as it is."""
    if not task["compile"]:
        return model
    torch._inductor.config.compile_threads = 1  # processes for it cannot be started from a forked one
    found: Callable[[Tensor], Tensor] = torch.compile(model)
    return found


def precision(task: Task, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=task["precision"] == "bfloat16")


def in_memory_format(model: nn.Module) -> nn.Module:
    """A model of images is faster with the channels of a pixel side by side."""
    images = any(parameter.ndim == 4 for parameter in model.parameters())
    return model.to(memory_format=torch.channels_last) if images else model


@torch.no_grad()
def evaluate_part(
    task: Task, model: nn.Module, data: Examples, part: str, share: Share
) -> tuple[float | None, float | None]:
    """Mean loss and accuracy over one part of the data, in evaluation mode; None if it is empty."""
    if not data.size(part):
        return None, None
    model.eval()
    ranks.same_buffers(model, share)
    sums = torch.zeros(2, dtype=torch.float64, device=data.mean.device)
    for x, target in data.part(part, share):
        with precision(task, x.device):
            logits = model(x).float()
        loss = F.cross_entropy(logits, target, reduction="sum")
        sums += torch.stack((loss, (logits.argmax(1) == target).sum())).double()
    model.train()
    loss_sum, correct = ranks.total(sums, share).tolist()
    return loss_sum / data.size(part), correct / data.size(part)


def evaluation(task: Task, state: State, data: Examples, step: int, share: Share) -> Row:
    """One row of the curve; training loss and accuracy are means over the steps since the last row."""
    row: Row = {"step": step, "train_loss": None, "train_accuracy": None}
    if state.curve:
        sums = ranks.total(state.sums, share) / share.ranks
        row["train_loss"], row["train_accuracy"] = (sums / (step - state.curve[-1]["step"])).tolist()
    for part in ("validation", "test"):
        row[f"{part}_loss"], row[f"{part}_accuracy"] = evaluate_part(task, state.model, data, part, share)
    state.sums.zero_()
    return row


def training_set(task: Task, state: State, data: Examples, share: Share) -> Row:
    """Loss and accuracy on the training set; of a streamed one, their means while it was last trained on."""
    if isinstance(data, FromFiles):
        return {key: state.curve[-1][key] for key in ("train_loss", "train_accuracy")}
    loss, accuracy = evaluate_part(task, state.model, data, "train", share)
    return {"train_loss": loss, "train_accuracy": accuracy}


def sampling(accuracy: float, examples: int) -> Row:
    """Over how many examples an accuracy is a mean, and its standard error as one of a sample of them."""
    return {"examples": examples, "standard_error": math.sqrt(accuracy * (1 - accuracy) / examples)}


def early_stop(curve: list[Row]) -> Row:
    """The evaluation of least validation loss (Frankle & Carbin 2019, section 2), if there is a split."""
    if curve[0]["validation_loss"] is None:
        return {}
    best = min(curve[1:], key=lambda row: float(row["validation_loss"]))
    keys = ("step", "validation_loss", "test_accuracy", "train_accuracy")
    return {f"early_stop_{key}": best[key] for key in keys}


@torch.no_grad()
def input_matters(model: nn.Module, data: Examples) -> bool:
    """Whether any two of the first test images get different outputs."""
    model.eval()
    images, _ = next(iter(data.part("test", Share())))
    logits = model(images)
    model.train()
    return bool((logits != logits[0]).any())


def failed(task: Task, run: Run, state: State, status: str, reason: str) -> Trained:
    """A result that counts at chance; rewind points not reached hold the network as it is."""
    network = state.network()
    network = network.with_tensors(apply(run.mask or {}, network.tensors))
    missing: Rewound = {point: (network, {}) for point in run.rewind_points if point not in state.rewound}
    metrics = {"steps": state.step}
    return Trained(
        network, metrics, state.curve, state.total_seconds(), state.rewound | missing, status, reason
    )
