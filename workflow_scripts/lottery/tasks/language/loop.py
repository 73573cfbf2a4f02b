"""The language model's training loop: truncated back-propagation through time, exact masks, resumable at any
step bit for bit, the hidden state included."""

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...runs import Run, Task, Trained
from ...seeds import seed_for
from ...tickets import empty_layers
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
from ...training.modules import load_network, load_optimizer, to_network
from ...training.progress import Progress
from ...training.ranks import Share
from ...training.state import Row, State
from ...weights import Network
from . import texts
from .model import OUTPUT, LanguageModel
from .settings import METRIC, steps, steps_per_epoch
from .texts import NOTHING, Texts

HIDDEN = ("outputs", "cells")
ALONE = Share()


def draw(task: Task, seed: int) -> Network:
    """A network from its initial distribution."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return to_network(LanguageModel(task), OUTPUT)


def train(task: Task, run: Run) -> Trained:
    """Train one network for the rest of its schedule.

    A network in which what is read no longer reaches the output is `collapsed` and is not trained; a loss
    that is not finite ends the training as `diverged`.
    """
    device = deterministic_device(ALONE)
    if device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(seed_for(run.noise, "dropout"))
    assert run.data is not None
    data = texts.load(run.data, task, device)
    model = LanguageModel(task).to(device)
    load_network(model, run.start)
    optimizer, scaler = make_optimizer(model, task["optimizer"]), make_scaler(task, device)
    state = State(model, (OUTPUT,), optimizer, carried(task, device), scaler)
    if (empty := empty_layers(run.mask)) and not input_matters(model, data):
        return state.failed(run, "collapsed", f"no weights left in {', '.join(empty)}")

    load_optimizer(model, optimizer, run.optimizer, run.mask or {})
    checkpoint = Checkpoint(run, identity(task, run))
    state.restore(checkpoint, ALONE)
    update = masked_step(model, run.mask, optimizer, task["clip_norm"], scaler)
    rates, every = learning_rates(task, run.rewind.schedule, steps), steps(task, task["evaluate_every"])
    wanted = {point: steps(task, point) for point in run.rewind_points}
    progress = Progress(run.name, "step", state.step, len(rates))
    per_epoch, first = steps_per_epoch(task), first_step(task, run.rewind.schedule, steps)
    hidden, sums = tuple(state.carried[name] for name in HIDDEN), state.carried["sums"]
    scale = task["bptt"] if task["reduction"] == "sum-over-time" else 1
    if not state.curve:
        state.curve.append(evaluation(task, state, data))

    while state.step < len(rates):
        epoch, done = divmod(first + state.step, per_epoch)
        if not done:
            for part in hidden:
                part.zero_()
        for tokens, target in data.training(run.noise, epoch, done):
            for group in optimizer.param_groups:
                group["lr"] = rates[state.step]
            with arithmetic(task, device):
                logits, after = model(tokens, hidden)
            loss = F.cross_entropy(logits.float().flatten(0, 1), target.flatten())
            state.backward(scale * loss)
            update()
            for part, new in zip(hidden, after, strict=True):
                part.copy_(new.detach())
            state.step += 1
            sums += loss.detach()
            for point in [point for point, step in wanted.items() if step == state.step]:
                state.keep(point)
            if state.step % every == 0 or state.step == len(rates):
                row = evaluation(task, state, data)
                state.curve.append(row)
                progress(state.step, METRIC, row[METRIC])
                if not all(math.isfinite(row[key] or 0) for key in row):
                    return state.failed(run, "diverged", f"loss not finite at step {state.step}")
            if checkpoint.due:
                state.save(checkpoint, ALONE)
                exit_if(run.process.stop())
            if state.step == len(rates):
                break
    return state.trained(run, metrics(state, data))


@contextmanager
def arithmetic(task: Task, device: torch.device) -> Iterator[None]:
    """What a forward pass is computed under. oneDNN, a CPU's kernels, has no LSTM of float16."""
    without = task["precision"] == "float16" and device.type == "cpu"
    with precision(task, device), torch.backends.mkldnn.flags(enabled=False) if without else nullcontext():
        yield


def keep_freed_memory() -> None:
    """Let the process keep what it frees. glibc hands large blocks back, and the kernel clears them page by
    page when the next step asks for its logits again: a third of a step of Yu et al.'s network."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's own; malloc.h numbers what can be set
        libc.mallopt(-4, 0)  # M_MMAP_MAX: large blocks come from the heap as well
        libc.mallopt(-1, -1)  # M_TRIM_THRESHOLD: whose end is never given back


def carried(task: Task, device: torch.device) -> dict[str, Tensor]:
    """The hidden state, and the sum of losses since the last evaluation."""
    shape = (task["layers"], task["batch_size"], task["hidden"])
    return {
        **{name: torch.zeros(shape, device=device) for name in HIDDEN},
        "sums": torch.zeros((), device=device),
    }


@torch.no_grad()
def evaluate_part(task: Task, model: nn.Module, data: Texts, part: str) -> tuple[float, float]:
    """Mean negative log-probability of a part's tokens, in nats, and their standard deviation; in evaluation
    mode."""
    model.eval()
    sums, hidden = torch.zeros(2, dtype=torch.float64, device=data.parts[part].device), None
    for tokens, target in data.part(part):
        with arithmetic(task, tokens.device):
            logits, hidden = model(tokens, hidden)
        logits, target = logits.float().flatten(0, 1), target.flatten()
        losses = F.cross_entropy(logits, target, ignore_index=NOTHING, reduction="none").double()
        sums += torch.stack((losses.sum(), (losses**2).sum()))
    model.train()
    mean, square = (sums / data.targets(part)).tolist()
    return mean, math.sqrt(max(square - mean**2, 0)) if math.isfinite(square) else math.nan


def evaluation(task: Task, state: State, data: Texts) -> Row:
    """One row of the curve; the training text's number is the mean over the steps since the last row."""
    row: Row = {"step": state.step, "train_log_perplexity": None}
    if state.curve:
        trained = state.step - state.curve[-1]["step"]
        row["train_log_perplexity"] = float(state.carried["sums"]) / trained
    for part in ("validation", "test"):
        row[f"{part}_log_perplexity"], deviation = evaluate_part(task, state.model, data, part)
    row["test_deviation"] = deviation
    state.carried["sums"].zero_()
    return row


def metrics(state: State, data: Texts) -> Row:
    """The last evaluation, and that of least validation log-perplexity."""
    last = state.curve[-1]
    best = min(state.curve[1:], key=lambda row: float(row["validation_log_perplexity"]))
    said = ("step", "validation_log_perplexity", METRIC)
    return {
        **{key: last[key] for key in (METRIC, "validation_log_perplexity", "train_log_perplexity")},
        "test_perplexity": math.exp(min(last[METRIC], 700.0)),
        "steps": state.step,
        "examples": data.targets("test"),
        "standard_error": last["test_deviation"] / math.sqrt(data.targets("test")),
        **{f"early_stop_{key}": best[key] for key in said},
    }


@torch.no_grad()
def input_matters(model: nn.Module, data: Texts) -> bool:
    """Whether any two columns of the test text's beginning get different outputs after as many tokens."""
    model.eval()
    text = data.parts["test"][:512]
    rows = min(8, len(text) // 2)
    logits, _ = model(text[: len(text) // rows * rows].view(-1, rows).t())
    model.train()
    return bool((logits != logits[:, :1]).any())


def evaluate(task: Task, network: Network, path: Path, part: str) -> dict[str, float]:
    """The log-perplexity of one part, as `loss` too."""
    device = deterministic_device(ALONE)
    model = LanguageModel(task).to(device)
    load_network(model, network)
    mean, _ = evaluate_part(task, model, texts.load(path, task, device), part)
    return {"log_perplexity": mean, "loss": mean}
