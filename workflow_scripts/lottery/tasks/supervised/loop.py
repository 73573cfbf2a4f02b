"""The supervised training loop: exact masks, data on the device, resumable at any step bit for bit."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ... import plugins
from ...data.images import describe
from ...runs import Process, Run, Task, Trained
from ...seeds import seed_for
from ...tickets import empty_layers
from ...training import ranks
from ...training.checkpoints import Checkpoint, exit_if, identity
from ...training.descent import (
    deterministic_device,
    first_step,
    learning_rates,
    make_optimizer,
    make_scaler,
    precision,
)
from ...training.enforcement import masked_step
from ...training.modules import load_network, load_optimizer
from ...training.progress import Progress
from ...training.ranks import Share
from ...training.state import Row, State
from . import from_files, in_memory
from .from_files import FromFiles
from .in_memory import InMemory
from .settings import METRIC, image_shape, options, steps, streamed

Examples = InMemory | FromFiles


def build(task: Task) -> tuple[nn.Module, str]:
    """The task's model and the name of its output layer."""
    model, classes = plugins.find("models", task["model"]["name"]), describe(task["dataset"]).classes
    return model.build(image_shape(task), classes, **options(task)), model.OUTPUT


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
    sums = torch.zeros(2, device=device)  # loss and correct answers since the last evaluation
    optimizer, scaler = make_optimizer(model, task["optimizer"]), make_scaler(task, device)
    state = State(model, (output,), optimizer, {"sums": sums}, scaler)
    if (empty := empty_layers(run.mask)) and not input_matters(model, data):
        return state.failed(run, "collapsed", f"no weights left in {', '.join(empty)}")

    load_optimizer(model, optimizer, run.optimizer, run.mask or {})
    checkpoint = Checkpoint(run, identity(task, run), writes=share.rank == 0)
    state.restore(checkpoint, share)
    update = masked_step(model, run.mask, optimizer, task["clip_norm"], scaler)
    forward = compiled(task, ranks.averaging_gradients(model, share))
    rates, every = learning_rates(task, run.rewind.schedule, steps), steps(task, task["evaluate_every"])
    wanted = {point: steps(task, point) for point in run.rewind_points}
    progress = Progress(run.name, "step", state.step, len(rates))
    per_epoch, first = data.size("train") // task["batch_size"], first_step(task, run.rewind.schedule, steps)
    if not state.curve:
        state.curve.append(evaluation(task, state, data, 0, share))

    while state.step < len(rates):
        epoch, done = divmod(first + state.step, per_epoch)
        for images, target in data.training(run.noise, epoch, done, share):
            for group in optimizer.param_groups:
                group["lr"] = rates[state.step]
            with precision(task, device):
                logits = forward(images).float()
            loss = F.cross_entropy(logits, target)
            state.backward(loss)
            update()
            state.step += 1
            sums += torch.stack((loss.detach(), (logits.argmax(1) == target).float().mean()))
            for point in [point for point, step in wanted.items() if step == state.step]:
                state.keep(point)
            if state.step % every == 0 or state.step == len(rates):
                row = evaluation(task, state, data, state.step, share)
                state.curve.append(row)
                progress(state.step, METRIC, row[METRIC])
                if not all(math.isfinite(row[key] or 0) for key in row):
                    return state.failed(run, "diverged", f"loss not finite at step {state.step}")
            if ranks.agreed(checkpoint.due, share):
                state.save(checkpoint, share)
                exit_if(ranks.agreed(run.process.stop(), share))
            if state.step == len(rates):
                break

    last = state.curve[-1]
    metrics = {
        "test_accuracy": last["test_accuracy"],
        "test_loss": last["test_loss"],
        **training_set(task, state, data, share),
        "steps": state.step,
        **sampling(last["test_accuracy"], data.size("test")),
        **early_stop(state.curve),
    }
    return state.trained(run, metrics)


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
        sums = ranks.total(state.carried["sums"], share) / share.ranks
        row["train_loss"], row["train_accuracy"] = (sums / (step - state.curve[-1]["step"])).tolist()
    for part in ("validation", "test"):
        row[f"{part}_loss"], row[f"{part}_accuracy"] = evaluate_part(task, state.model, data, part, share)
    state.carried["sums"].zero_()
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
