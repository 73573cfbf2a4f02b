"""MNIST (LeCun et al. 1998), from the official files through torchvision."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..downloads import download, verify

KIND = "images"
SHAPE, CLASSES, TRAIN, TEST = (1, 28, 28), 10, 60_000, 10_000
DOWNLOADED = ("MNIST/raw",)  # one is there, or it is downloaded


def load(root: Path) -> dict[str, np.ndarray]:
    """Train and test images [N, 1, 28, 28] uint8 and labels [N] int64 from `root`/MNIST/raw."""
    from torchvision.datasets import MNIST

    return load_idx(MNIST, root)


def load_idx(dataset: Any, root: Path) -> dict[str, np.ndarray]:
    """Read a torchvision data set of the MNIST format, downloading what is not there.

    Every .gz is checked against torchvision's MD5. The data root may be read-only when it is complete.
    Raises DamagedFile, InputError (not there and no download).
    """
    raw = root / dataset.__name__ / "raw"
    with tempfile.TemporaryDirectory() as unpacked:
        links = Path(unpacked) / dataset.__name__ / "raw"
        links.mkdir(parents=True)
        for name, md5 in dataset.resources:
            if not (raw / name).exists():
                download([mirror + name for mirror in dataset.mirrors], raw / name, md5)
            verify(raw / name, md5)
            (links / name).symlink_to((raw / name).resolve())
        arrays = {}
        for part, train in (("train", True), ("test", False)):
            split = dataset(unpacked, train=train, download=True)  # unpacks what is linked
            arrays[f"{part}_images"] = split.data.numpy()[:, None].astype(np.uint8)
            arrays[f"{part}_labels"] = split.targets.numpy().astype(np.int64)
    return arrays
