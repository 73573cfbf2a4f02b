"""Optimizers, learning rates, precision and devices, as config entries name them."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ..runs import Task
from .ranks import Share

Steps = Callable[[Task, str], int]


def make_optimizer(model: nn.Module, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    common = {"lr": settings["lr"], "weight_decay": settings["weight_decay"], "fused": True}
    if settings["name"] == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=settings["momentum"], **common)
    return torch.optim.Adam(model.parameters(), betas=tuple(settings["betas"]), eps=settings["eps"], **common)


def first_step(task: Task, schedule_from: str, steps: Steps) -> int:
    """The step of the task's schedule, and of its data order, that a training begins with."""
    return 0 if schedule_from in ("start", "end") else steps(task, schedule_from)


def learning_rates(task: Task, schedule_from: str, steps: Steps) -> list[float]:
    """The learning rate of every step to train.

    schedule_from: `start`, a point to go on from, or `end` for the whole length at the last rate
    steps:         the family's `steps`
    """
    schedule, length = task["schedule"], steps(task, task["length"])
    milestones = [steps(task, point) for point in schedule["milestones"]]

    def rate(step: int) -> float:
        warm = min(1.0, (step + 1) / max(1, schedule["warmup"]))
        falling = 1 - (1 - schedule.get("final", 1)) * step / length
        dropped = schedule["gamma"] ** sum(step >= m for m in milestones)
        return float(task["optimizer"]["lr"] * warm * dropped * falling)

    if schedule_from == "end":
        return [rate(length - 1)] * length
    return [rate(step) for step in range(first_step(task, schedule_from, steps), length)]


def deterministic_device(share: Share) -> torch.device:
    """The device to compute on, which from now on gives the same bits for the same work."""
    torch.set_num_threads(1)  # another number of threads gives other bits
    if not torch.cuda.is_available():
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it beside the next line
    torch.use_deterministic_algorithms(True)  # imports a compiler, two seconds; one CPU thread needs none
    return torch.device("cuda", share.rank)


def precision(task: Task, device: torch.device) -> torch.autocast:
    """What forward pass and loss are computed under."""
    half = torch.float16 if task["precision"] == "float16" else torch.bfloat16
    return torch.autocast(device.type, half, enabled=task["precision"] != "float32")


def make_scaler(task: Task, device: torch.device) -> torch.amp.GradScaler | None:
    """What the loss is multiplied with, so that float16 does not lose small gradients."""
    return torch.amp.GradScaler(device.type) if task["precision"] == "float16" else None
