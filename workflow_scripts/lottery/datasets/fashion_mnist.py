"""Fashion-MNIST (Xiao et al. 2017), from the official files through torchvision."""

from pathlib import Path

import numpy as np

from .mnist import CLASSES, KIND, SHAPE, TEST, TRAIN, load_idx

__all__ = ["CLASSES", "KIND", "SHAPE", "TEST", "TRAIN", "load"]
DOWNLOADED = ("FashionMNIST/raw",)  # one is there, or it is downloaded


def load(root: Path) -> dict[str, np.ndarray]:
    """Train and test images [N, 1, 28, 28] uint8 and labels [N] int64 from `root`/FashionMNIST/raw."""
    from torchvision.datasets import FashionMNIST

    return load_idx(FashionMNIST, root)
