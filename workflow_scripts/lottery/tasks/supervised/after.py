"""What a network is asked after training, or before it: its loss and accuracy, and scores of its weights."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from ...errors import InputError
from ...runs import Process, Task
from ...training.modules import load_network, to_array
from ...training.ranks import Share
from ...weights import Network
from .loop import build, deterministic_device, evaluate_part, load_data

EACH = 10  # examples of a class that SNIP looks at (Lee et al. 2019)


def evaluate(task: Task, network: Network, data: Path, part: str, process: Process) -> dict[str, float]:
    """Mean loss and accuracy on one part of the data."""
    device = deterministic_device(Share())
    model, _ = build(task)
    load_network(model.to(device), network)
    examples = load_data(task, data, process, device)
    loss, accuracy = evaluate_part(task, model, examples, part, Share())
    if loss is None or accuracy is None:
        raise InputError(f"task {task['name']}: its {part} part is empty")
    return {"loss": loss, "accuracy": accuracy}


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
