"""Labelled images: checked, cut to what a named set takes, as uint8 arrays in one checksummed file; or, of a
set too large for memory, a list of files that are read while training.

What a data set of this kind has in `datasets/`:

    SHAPE, CLASSES, TRAIN, TEST  shape of an image, number of classes, of training and of test examples
    load(root)                   -> train_images, test_images: [N, C, H, W] uint8; train_labels, test_labels

A set too large for that has STREAMED = True, and in place of `load`

    index(root)                  -> train_files, test_files: paths; train_labels, test_labels

A set whose sizes are its entry's in config/datasets (a folder of images) has none of the constants; it is
given its own folder under the root, and `load` the shape as well. Whose files no checksum verifies has

    record(root)                 -> text that changes when they do; None if none is there
"""

import hashlib
import multiprocessing
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ... import plugins
from ...errors import InputError
from ...files import digest_of
from ...weights import load_arrays, save_arrays
from .. import Dataset, module_of

SCHEMA: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "schema.yaml").read_text())
SUFFIX = ".safetensors"
SIZES = ("shape", "classes", "train", "test")
HALVES = ("a", "b")
CHANNELS = (1, 3)  # of an image file
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of streamed sets


@dataclass(frozen=True)
class Description:
    """What a data set holds. shape: (C, H, W) of an image; train: number of training examples."""

    shape: tuple[int, int, int]
    classes: int
    train: int
    streamed: bool


def describe(dataset: Dataset) -> Description:
    """Of a named data set, without reading it. Raises InputError for one of another kind."""
    module = module_of(dataset, "images")
    shape, classes, train, _ = _sizes(dataset)
    if "half" in dataset:
        train //= 2
    if "first_per_class" in dataset:
        classes = dataset.get("first_classes", classes)
        train = classes * dataset["first_per_class"]
    return Description(shape, classes, train, dataset.get("streamed", getattr(module, "STREAMED", False)))


def _sizes(dataset: Dataset) -> tuple[tuple[int, int, int], int, int, int]:
    """Shape, classes, training and test examples of the whole set, before anything is cut from it."""
    module = plugins.find("datasets", dataset["of"])
    if hasattr(module, "SHAPE"):
        return module.SHAPE, module.CLASSES, module.TRAIN, module.TEST
    channels, height, width = dataset["shape"]
    return (channels, height, width), dataset["classes"], dataset["train"], dataset["test"]


def check(dataset: Dataset) -> None:
    """Raise InputError for an entry that cannot work."""
    own = not hasattr(plugins.find("datasets", dataset["of"]), "SHAPE")
    given = [key for key in SIZES if key in dataset]
    if given != (list(SIZES) if own else []):
        raise InputError(
            f"of {dataset['of']}, found {', '.join(given) or 'none'} of {', '.join(SIZES)}; "
            f"expected {'all' if own else 'none'}"
        )
    (channels, *_), classes, train, test = _sizes(dataset)
    if own and channels not in CHANNELS:
        raise InputError(f"shape: found {channels} channels, allowed: {', '.join(map(str, CHANNELS))}")
    if dataset.get("streamed") and dataset.get("shape", [0])[0] != 3:
        raise InputError("streamed: allowed for image-folder with three channels")
    for key, images in (("train", train), ("test", test)):
        if own and images < classes:
            raise InputError(
                f"{key}: found {images}, allowed: at least one image of each of {classes} classes"
            )
    if "first_classes" in dataset and "first_per_class" not in dataset:
        raise InputError("first_classes: needs first_per_class, which says how many of each")
    _check_part(dataset, classes, train)


def _check_part(dataset: Dataset, classes: int, train: int) -> None:
    """Raise InputError for a part that is more than the whole can be."""
    if "half" in dataset:
        train //= 2
        if train < classes:
            raise InputError(f"half: has {train} training examples, which cannot be of {classes} classes")
    taken = dataset.get("first_classes", classes)
    if taken > classes:
        raise InputError(f"first_classes: found {taken}, allowed: up to {classes}")
    if dataset.get("first_per_class", 0) * taken > train:
        raise InputError(
            f"first_per_class: found {dataset['first_per_class']}, allowed: up to {train // taken}, of "
            f"{train} training examples and {taken} classes"
        )


def record(dataset: Dataset, root: Path) -> str | None:
    """What the set's own files are, if no checksum verifies them; None if they are not there."""
    module = plugins.find("datasets", dataset["of"])
    own = not hasattr(module, "SHAPE")
    found: str | None = None
    if hasattr(module, "record"):
        found = module.record(root / dataset["name"] if own else root)
    return found


def verify(path: Path) -> str:
    """The checksum of a prepared data set. Raises DamagedFile."""
    return str(load_arrays(path)[1]["sha256"])


def prepare(dataset: Dataset, root: Path, path: Path) -> None:
    """Load a data set from `root`, check it, cut it and write it to `path`.

    Written are train_labels, test_labels, mean and std of each channel (std is 0 where all training images
    have one value), and train_images, test_images; of a streamed set train_files, test_files (paths under
    `root`, a line each, as bytes), their sizes, and a checksum over them all.
    Raises InputError when images, labels and declared sizes disagree, or an image cannot be decoded.
    """
    module, (shape, classes, train, test) = plugins.find("datasets", dataset["of"]), _sizes(dataset)
    streamed, own = describe(dataset).streamed, not hasattr(module, "SHAPE")
    where = root / dataset["name"] if own else root
    try:
        arrays = module.index(where) if streamed else module.load(where, *([shape] if own else []))
    except OSError as error:  # a file that is a folder, may not be read, lies on a broken disk
        named = f"{error.filename}: " if error.filename else ""
        raise InputError(f"data set {dataset['name']}: {named}{error.strerror or error}") from None
    for part, size in (("train", train), ("test", test)):
        _check_arrays(f"data set {dataset['name']}: {part}", arrays, part, size, shape, classes)
    for part in ("train", "test"):
        try:
            chosen = selected(dataset, arrays[f"{part}_labels"], part)
        except InputError as error:
            raise InputError(f"data set {dataset['name']}: {error}") from None
        for kind in ("labels", "images", "files"):
            if (key := f"{part}_{kind}") in arrays:
                arrays[key] = [arrays[key][i] for i in chosen] if kind == "files" else arrays[key][chosen]
        found = len(arrays[f"{part}_labels"])
        expected = describe(dataset).train if part == "train" else max(found, 1)
        if found != expected:
            raise InputError(
                f"data set {dataset['name']}: {part}: {found} examples are taken, expected {expected}"
            )
    if streamed:
        arrays |= _listed(arrays, root)
    else:
        pixels = arrays["train_images"]
        arrays["mean"] = pixels.mean(axis=(0, 2, 3), dtype=np.float64).astype(np.float32)
        arrays["std"] = pixels.std(axis=(0, 2, 3), dtype=np.float64).astype(np.float32)
    save_arrays(path, arrays, {"dataset": dict(dataset)})


def _check_arrays(
    where: str, arrays: Mapping[str, Any], part: str, size: int, shape: tuple[int, ...], classes: int
) -> None:
    labels, expected = arrays[f"{part}_labels"], (size, *shape)
    if f"{part}_files" in arrays:
        found: tuple[int, ...] = (len(arrays[f"{part}_files"]), *shape)
    else:
        found = arrays[f"{part}_images"].shape
    if found != expected or labels.shape != (size,) or not size:
        raise InputError(
            f"{where}: found images {found} and labels {labels.shape}, expected {expected} and {(size,)}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"{where}: found labels {labels.min()} to {labels.max()}, allowed 0 to {classes - 1}"
        )
    if part == "train" and (missing := set(range(classes)) - set(labels.tolist())):
        raise InputError(f"{where}: found {classes - len(missing)} classes, expected {classes}")


def selected(dataset: Dataset, labels: np.ndarray, part: str) -> np.ndarray:
    """Sorted indices of the examples of one part that a named set takes from the whole one.

    A stratified half of the training set first (Morcos et al. 2019, figure 2), of it the first classes and
    the first examples of each: so smaller sets are parts of larger ones, and what is taken from one half has
    nothing of the other. Raises InputError.
    """
    chosen = np.arange(len(labels))
    if part == "train" and "half" in dataset:
        chosen = _half(labels, dataset["half"])
    chosen = chosen[labels[chosen] < dataset.get("first_classes", labels.max() + 1)]
    if part == "train" and "first_per_class" in dataset:
        chosen = first_of_each_class(labels, dataset["first_per_class"], chosen)
    return chosen


def _half(labels: np.ndarray, half: str) -> np.ndarray:
    from sklearn.model_selection import train_test_split

    numbers, size = np.bincount(labels), len(labels) // 2
    if (rare := np.flatnonzero(numbers == 1)).size:
        raise InputError(f"half: class {rare[0]} has 1 training example, allowed: 2 or more")
    if size < np.count_nonzero(numbers):
        raise InputError(f"half: {size} training examples cannot be of {np.count_nonzero(numbers)} classes")
    halves = train_test_split(
        np.arange(len(labels)), train_size=size, test_size=size, stratify=labels, random_state=0
    )
    return np.sort(halves[HALVES.index(half)])


def first_of_each_class(labels: np.ndarray, number: int, among: np.ndarray) -> np.ndarray:
    """Sorted indices of the first `number` examples of each class. Raises InputError if one has fewer."""
    found = []
    for label in np.unique(labels[among]):
        members = among[labels[among] == label][:number]
        if len(members) < number:
            raise InputError(f"first_per_class: {number} asked for, class {label} has {len(members)}")
        found.append(members)
    return np.sort(np.concatenate(found))


def _listed(arrays: Mapping[str, Any], root: Path) -> dict[str, np.ndarray]:
    """The files of a streamed set, each decoded once now rather than first after hours of training."""
    listed = {"mean": np.array(IMAGENET_MEAN, np.float32), "std": np.array(IMAGENET_STD, np.float32)}
    for part in ("train", "test"):
        files = [Path(file) for file in arrays[f"{part}_files"]]
        lines = _lines([str(file.relative_to(root)) for file in files])
        cores = len(os.sched_getaffinity(0)) if len(files) > 5000 else 1  # a process takes seconds to start
        with multiprocessing.get_context("spawn").Pool(cores) if cores > 1 else nullcontext() as pool:
            looked = list(pool.imap(_look_at, files, chunksize=256) if pool else map(_look_at, files))
        sizes, digests, low, high = zip(*looked, strict=True)
        listed[f"{part}_files"] = lines
        listed[f"{part}_sizes"] = np.array(sizes, dtype=np.int64)
        whole = hashlib.sha256("".join(digests).encode()).digest()
        listed[f"{part}_digest"] = np.frombuffer(whole, dtype=np.uint8)
        if part == "train":
            listed["std"][np.min(low, axis=0) == np.max(high, axis=0)] = 0
    return listed


def _lines(names: list[str]) -> np.ndarray:
    """Names of files, a line each, as bytes. Raises InputError for one that cannot be a line of text."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError(f"{name!a}: its name is not UTF-8, which a streamed set needs") from None
        if "\n" in name:
            raise InputError(f"{name!a}: has a line break in its name, which a streamed set cannot have")
    return np.frombuffer("\n".join(names).encode(), dtype=np.uint8)


def _look_at(path: Path) -> tuple[int, str, list[int], list[int]]:
    """Size and checksum of a file of an image, and the smallest and largest value of each channel."""
    from .decoding import decode

    pixels = decode(path).flatten(1)
    return path.stat().st_size, digest_of(path), pixels.amin(1).tolist(), pixels.amax(1).tolist()


def scale_of(std: np.ndarray) -> np.ndarray:
    """What each channel is multiplied with: one that is constant in the training set becomes 0."""
    scale: np.ndarray = np.divide(1, std, out=np.zeros_like(std), where=std > 0)
    return scale


def splits(examples: int, validation: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of the examples trained on and of those held out; the same for every seed."""
    members = np.random.default_rng(0).permutation(examples)
    return np.sort(members[validation:]), np.sort(members[:validation])
