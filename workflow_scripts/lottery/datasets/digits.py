"""The real handwritten digits that scikit-learn ships (UCI, 1,797 images of 8x8): no download."""

import hashlib
from pathlib import Path

import numpy as np

from ..errors import DamagedFile

KIND = "images"
SHAPE, CLASSES, TRAIN, TEST = (1, 8, 8), 10, 1437, 360
SHA256 = "631cb83de3a2ab62bb6a6377fd0959c2622ce06102218671940106ad649966d0"


def load(root: Path) -> dict[str, np.ndarray]:
    """Train and test images [N, 1, 8, 8] uint8 (0-240) and labels [N]; a fixed stratified split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images[:, None] * 15).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    found = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    if found != SHA256:
        raise DamagedFile("scikit-learn's digits", f"has checksum {found[:16]}, expected {SHA256[:16]}")
    train, test = train_test_split(np.arange(len(labels)), test_size=TEST, stratify=labels, random_state=0)
    return {
        "train_images": images[train],
        "train_labels": labels[train],
        "test_images": images[test],
        "test_labels": labels[test],
    }
