"""What a network is asked after training, or before it: its loss and accuracy, and scores of its weights."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ...errors import InputError
from ...runs import Process, Task
from ...seeds import generator
from ...training.descent import deterministic_device, precision
from ...training.modules import load_network, to_array, to_network
from ...training.ranks import Share
from ...weights import Network
from .loop import Examples, build, evaluate_part, load_data

MEASURED = 10_000  # training examples over which statistics are measured
EACH = 10  # examples of a class that SNIP looks at (Lee et al. 2019)


def evaluate(task: Task, network: Network, data: Path, part: str, process: Process) -> dict[str, float]:
    """Mean loss and accuracy on one part of the data."""
    device = deterministic_device(Share())
    model, _ = build(task)
    load_network(model.to(device), network)
    examples = _examples(task, data, process)
    loss, accuracy = evaluate_part(task, model, examples, part, Share())
    if loss is None or accuracy is None:
        raise InputError(f"task {task['name']}: its {part} part is empty")
    return {"loss": loss, "accuracy": accuracy}


def statistics(task: Task, network: Network, data: Path, process: Process) -> Network:
    """The network with the means and variances of its batch normalisation measured anew, as the plain mean
    over batches of at most 10,000 training examples, not augmented: the same ones in the same order for every
    network. One without batch normalisation is left as it is."""
    device = deterministic_device(Share())
    model, output = build(task)
    load_network(model.to(device), network)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    layers = [layer for layer in layers if layer.track_running_stats]
    if not layers:
        return network
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
    examples = _examples(task, data, process)
    chosen = generator(0, "statistics").permutation(examples.size("train"))[:MEASURED]
    whole = len(chosen) // task["batch_size"] * task["batch_size"]
    model.train()
    with torch.no_grad():
        for indices in torch.as_tensor(chosen[:whole]).split(task["batch_size"]):
            with precision(task, device):
                model(examples.examples("train", indices)[0])
    measured = to_network(model, output).tensors
    kept = {
        name: network.roles[name] != "buffer" or array.dtype.kind != "f" for name, array in measured.items()
    }
    return network.with_tensors(
        {name: network.tensors[name] if kept[name] else measured[name] for name in kept}
    )


def _examples(task: Task, data: Path, process: Process) -> Examples:
    """The prepared data, read once for many networks of one task."""
    there = data.stat()
    return _read(json.dumps(task, sort_keys=True), data, process.data_root, there.st_ino, there.st_mtime_ns)


@lru_cache(maxsize=1)
def _read(task: str, data: Path, data_root: Path, *_: int) -> Examples:
    process = Process(data_root=data_root)
    return load_data(json.loads(task), data, process, deterministic_device(Share()))


def snip(task: Task, network: Network, data: Path, process: Process) -> dict[str, np.ndarray]:
    """Connection sensitivity |weight x gradient| (Lee et al. 2019, equation 4), of every trainable tensor.

    The gradient is that of the mean loss over the first ten training examples of each class, not augmented,
    in evaluation mode, as the authors' code has it: it is one gradient, whose absolute value is taken once,
    however many batches it takes.
    """
    device = deterministic_device(Share())
    model, _ = build(task)
    load_network(model.to(device).eval(), network)
    examples = load_data(task, data, process, device)
    chosen = torch.as_tensor(_first_of_each(examples.labels["train"].cpu().numpy()))
    for indices in chosen.split(task["batch_size"]):
        images, target = examples.examples("train", indices)
        (F.cross_entropy(model(images), target, reduction="sum") / len(chosen)).backward()
    return {
        name: np.abs(to_array(parameter) * to_array(parameter.grad))
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def _first_of_each(labels: np.ndarray) -> np.ndarray:
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[:EACH] for k in np.unique(labels)]))
