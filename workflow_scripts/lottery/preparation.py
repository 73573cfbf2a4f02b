"""Data sets prepared once for training: uint8 arrays in one checksummed file, and the fixed splits."""

from pathlib import Path

import numpy as np

from . import plugins
from .errors import InputError
from .weights import load_arrays, save_arrays

HALVES = {"a": 0, "b": 1}


def prepare(name: str, root: Path, path: Path) -> str:
    """Load a data set from `root`, check it and write it to `path`; returns its checksum.

    Written are train_images, train_labels, test_images, test_labels; `half`, which tells each
    training example's stratified half (0, 1; 2 for neither); mean and std of each channel.
    Raises InputError when images, labels and declared sizes disagree.
    """
    from sklearn.model_selection import train_test_split

    dataset = plugins.find("datasets", name)
    arrays = dataset.load(root)
    for part, size in (("train", dataset.TRAIN), ("test", dataset.TEST)):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.shape != (size, *dataset.SHAPE) or labels.shape != (size,):
            raise InputError(
                f"data set {name}: found {part} images {images.shape} and labels {labels.shape}, "
                f"expected {(size, *dataset.SHAPE)} and {(size,)}"
            )
        if labels.min() < 0 or labels.max() >= dataset.CLASSES:
            raise InputError(
                f"data set {name}: found {part} labels {labels.min()} to {labels.max()}, "
                f"allowed 0 to {dataset.CLASSES - 1}"
            )
    labels = arrays["train_labels"]
    half = np.full(len(labels), 2, dtype=np.uint8)
    size = len(labels) // 2
    halves = train_test_split(
        np.arange(len(labels)), train_size=size, test_size=size, stratify=labels, random_state=0
    )
    for number, members in enumerate(halves):
        half[members] = number
    scaled = arrays["train_images"]
    save_arrays(
        path,
        {
            **arrays,
            "half": half,
            "mean": scaled.mean(axis=(0, 2, 3), dtype=np.float64).astype(np.float32),
            "std": scaled.std(axis=(0, 2, 3), dtype=np.float64).astype(np.float32),
        },
        {"dataset": name},
    )
    return str(load_arrays(path)[1]["sha256"])


def splits(arrays: dict[str, np.ndarray], half: str | None, validation: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the examples trained on and of those held out; the same for every seed."""
    labels = arrays["train_labels"]
    members = np.flatnonzero(arrays["half"] == HALVES[half]) if half else np.arange(len(labels))
    members = np.random.default_rng(0).permutation(members)
    return np.sort(members[validation:]), np.sort(members[:validation])
