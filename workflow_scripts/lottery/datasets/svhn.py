"""SVHN, cropped digits (Netzer et al. 2011), from the official .mat files through torchvision."""

from pathlib import Path

import numpy as np

from ..downloads import download, verify

KIND = "images"
SHAPE, CLASSES, TRAIN, TEST = (3, 32, 32), 10, 73_257, 26_032
DOWNLOADED = ("svhn",)  # one is there, or it is downloaded


def load(root: Path) -> dict[str, np.ndarray]:
    """Train and test images [N, 3, 32, 32] uint8 and labels [N] int64 from `root`/svhn/*_32x32.mat.

    Raises DamagedFile, InputError (not there and no download).
    """
    from torchvision.datasets import SVHN

    arrays = {}
    for part in ("train", "test"):
        url, name, md5 = SVHN.split_list[part]
        path = root / "svhn" / name
        if not path.exists():
            download([url], path, md5)
        verify(path, md5)
        split = SVHN(root / "svhn", part)
        arrays[f"{part}_images"] = np.ascontiguousarray(split.data)
        arrays[f"{part}_labels"] = split.labels.astype(np.int64)
    return arrays
