"""A user's own images: `train/CLASS/*` and `test/CLASS/*` (or `val`) in a folder named as the data set."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError

KIND = "images"
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's


def index(folder: Path) -> dict[str, Any]:
    """Image files of both parts and their labels; classes are numbered in the order of their names.

    Raises InputError for a missing or empty folder, or a class of one part that the other has not.
    """
    found: dict[str, Any] = {}
    classes: dict[str, list[str]] = {}
    test = _test_part(folder)
    for part, name in (("train", "train"), ("test", test)):
        paths, found[f"{part}_labels"], classes[part] = _images(folder / name)
        found[f"{part}_files"] = paths
    other = set(classes["train"]) ^ set(classes["test"])
    if other:
        raise InputError(f"{folder}: class '{min(other)}' is in one of train/ and {test}/ only")
    return found


def absent(dataset: Mapping[str, Any], root: Path) -> str | None:
    """What is missing under `root`, found without reading images."""
    folder = root / dataset["name"]
    for parts in (("train",), ("test", "val")):
        if not any((folder / part).is_dir() for part in parts):
            return f"{folder}: has no folder {' or '.join(parts)}, with a folder of images for each class"
    return None


def load(folder: Path, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """All images, resized and cropped at the centre to `shape`, in memory."""
    from ..data.images.decoding import centre_crop, decode

    found = index(folder)
    arrays = {}
    for part in ("train", "test"):
        arrays[f"{part}_images"] = np.stack(
            [centre_crop(decode(path, shape[0]), shape).numpy() for path in found[f"{part}_files"]]
        )
        arrays[f"{part}_labels"] = found[f"{part}_labels"]
    return arrays


def record(folder: Path) -> str | None:
    """A digest of names, sizes and times of change (in nanoseconds) of the images; None if there are none."""
    found = []
    for part in ("train", _test_part(folder)):
        for where, _, names in os.walk(folder / part, followlinks=True):
            for name in names:
                if name.lower().endswith(SUFFIXES):
                    path = Path(where, name)
                    found.append((os.fsencode(path.relative_to(folder)), *_size_and_time(path)))
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest() if found else None


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        said = path.stat()
    except OSError:  # a link to nothing
        return -1, -1
    return said.st_size, said.st_mtime_ns


def _test_part(folder: Path) -> str:
    return "test" if (folder / "test").is_dir() else "val"


def _images(folder: Path) -> tuple[list[Path], np.ndarray, list[str]]:
    from torchvision.datasets import ImageFolder

    try:
        listed = ImageFolder(str(folder))
    except (FileNotFoundError, NotADirectoryError) as error:
        said = str(error).split(". Supported extensions")[0]
        raise InputError(f"{folder}: expected a folder of images for each class: {said}") from None
    return (
        [Path(path) for path, _ in listed.samples],
        np.array(listed.targets, dtype=np.int64),
        listed.classes,
    )
