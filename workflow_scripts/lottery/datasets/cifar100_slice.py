"""The first 50 training and 10 test images of each class of CIFAR-100: own files, or cut from the whole."""

from pathlib import Path

import numpy as np

from ..data.images import first_of_each_class
from . import cifar100
from .cifar10 import load_batches

KIND = "images"
SHAPE, CLASSES, TRAIN, TEST = (3, 32, 32), 100, 5_000, 1_000
FILES = {"train": "3d3dddbb2696bffb3e8e8003edeccdce", "test": "a9e9559b59a5d9293ba37639652206be"}
DOWNLOADED = ("cifar100-slice", *cifar100.DOWNLOADED)


def load(root: Path) -> dict[str, np.ndarray]:
    """From `root`/cifar100-slice/cifar-100-python if it is there, else from CIFAR-100 itself."""
    from torchvision.datasets import CIFAR100

    if (root / "cifar100-slice").exists():

        class Slice(CIFAR100):  # type: ignore[misc]
            train_list = [["train", FILES["train"]]]  # noqa: RUF012
            test_list = [["test", FILES["test"]]]  # noqa: RUF012

        return load_batches(Slice, root / "cifar100-slice")
    arrays = cifar100.load(root)
    for part, size in (("train", TRAIN), ("test", TEST)):
        labels = arrays[f"{part}_labels"]
        first = first_of_each_class(labels, size // CLASSES, np.arange(len(labels)))
        arrays |= {key: arrays[key][first] for key in (f"{part}_images", f"{part}_labels")}
    return arrays
