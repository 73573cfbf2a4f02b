"""CIFAR-100, fine classes (Krizhevsky 2009), from the official python version through torchvision."""

from pathlib import Path

import numpy as np

from .cifar10 import KIND, SHAPE, TEST, TRAIN, load_batches

__all__ = ["CLASSES", "KIND", "SHAPE", "TEST", "TRAIN", "load"]

CLASSES = 100
DOWNLOADED = (
    "cifar-100-python",
    "cifar-100-python.tar.gz",
)  # one is there, or it is downloaded


def load(root: Path) -> dict[str, np.ndarray]:
    """Train and test images [N, 3, 32, 32] uint8 and labels [N] int64 from `root`/cifar-100-python."""
    from torchvision.datasets import CIFAR100

    return load_batches(CIFAR100, root)
