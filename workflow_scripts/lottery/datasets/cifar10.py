"""CIFAR-10 (Krizhevsky 2009), from the official python version through torchvision."""

from pathlib import Path
from typing import Any

import numpy as np

from ..downloads import archive_member, verify

KIND = "images"
SHAPE, CLASSES, TRAIN, TEST = (3, 32, 32), 10, 50_000, 10_000
DOWNLOADED = (
    "cifar-10-batches-py",
    "cifar-10-python.tar.gz",
)  # one is there, or it is downloaded


def load(root: Path) -> dict[str, np.ndarray]:
    """Train and test images [N, 3, 32, 32] uint8 and labels [N] int64 from `root`/cifar-10-batches-py."""
    from torchvision.datasets import CIFAR10

    return load_batches(CIFAR10, root)


def load_batches(dataset: Any, root: Path) -> dict[str, np.ndarray]:
    """Read a torchvision data set of the CIFAR format, downloading what is not there.

    Every file is checked against its MD5 before it is unpickled. Raises DamagedFile, InputError.
    """
    folder = root / dataset.base_folder
    archive = (dataset.url, dataset.filename, dataset.tgz_md5)
    for name, md5 in [
        *dataset.train_list,
        *dataset.test_list,
        [dataset.meta["filename"], dataset.meta["md5"]],
    ]:
        if not (folder / name).exists():
            archive_member(folder / name, root, *archive)
        verify(folder / name, md5)
    arrays = {}
    for part, train in (("train", True), ("test", False)):
        split = dataset(root, train=train)
        arrays[f"{part}_images"] = np.ascontiguousarray(split.data.transpose(0, 3, 1, 2))
        arrays[f"{part}_labels"] = np.array(split.targets, dtype=np.int64)
    return arrays
