"""Time of a training step: dense, masked our way, masked by torch.nn.utils.prune.

    python benchmarks/training.py

One thread, alternating rounds in one process; medians, as ratios to the dense step.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import kernels  # before numpy
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow_scripts"))

from lottery import plugins
from lottery.training.enforcement import masked_step

STEPS, ROUNDS = 60, 7


def lenet() -> tuple[nn.Module, torch.Tensor]:
    model = plugins.find("models", "lenet-300-100").build((1, 28, 28), 10)
    return model, torch.randn(60, 1, 28, 28)


def convolutional() -> tuple[nn.Module, torch.Tensor]:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 10)), torch.randn(60, 3, 32, 32)


def loop(make: Callable, way: str) -> Callable[[], None]:
    torch.manual_seed(0)
    model, images = make()
    labels = torch.randint(0, 10, (len(images),))
    weights = [(n, p) for n, p in model.named_parameters() if p.ndim > 1]
    mask = {name: np.random.default_rng(0).random(p.shape) < 0.1 for name, p in weights}
    if way == "torch.nn.utils.prune":
        for name, _ in weights:
            module = model.get_submodule(name.removesuffix(".weight"))
            prune.custom_from_mask(module, "weight", torch.from_numpy(mask[name]))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    step = masked_step(model, mask if way == "lottery" else None, optimizer, None)

    def run() -> None:
        for _ in range(STEPS):
            F.cross_entropy(model(images), labels).backward()
            step()

    return run


def main() -> None:
    torch.set_num_threads(1)
    print(kernels.said())
    print(f"{'model':22} {'way':22} {'ms a step':>10} {'/ dense':>8}")
    for make in (lenet, convolutional):
        ways = {way: loop(make, way) for way in ("dense", "lottery", "torch.nn.utils.prune")}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS + 1):
            for way, run in ways.items():
                started = time.perf_counter()
                run()
                times[way].append((time.perf_counter() - started) / STEPS)
        medians = {way: statistics.median(seconds[1:]) for way, seconds in times.items()}
        for way, seconds in medians.items():
            print(f"{make.__name__:22} {way:22} {1e3 * seconds:10.3f} {seconds / medians['dense']:8.2f}")


if __name__ == "__main__":
    main()
