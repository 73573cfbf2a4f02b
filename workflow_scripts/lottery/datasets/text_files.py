"""A user's own texts: `train.txt`, `valid.txt` and `test.txt` in a folder named as the data set; or one
`text.txt`, where the entry says into which fractions it is cut."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.text import read_utf8

KIND = "text"
SPLITS = {"train": "train.txt", "validation": "valid.txt", "test": "test.txt"}
ONE = {"train": "text.txt"}


def load(folder: Path, dataset: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the three parts, or the one that is to be cut. Raises InputError (missing, not UTF-8)."""
    return {part: read_utf8(folder / name) for part, name in _names(dataset).items()}


def absent(dataset: Mapping[str, Any], root: Path) -> str | None:
    """What is missing under `root`."""
    files = [root / dataset["name"] / name for name in _names(dataset).values()]
    return next((f"{file}: is not there" for file in files if not file.is_file()), None)


def record(folder: Path) -> str | None:
    """A digest of names, sizes and times of change (in nanoseconds) of the texts; None if there are none."""
    there = [folder / name for name in (*SPLITS.values(), *ONE.values()) if (folder / name).is_file()]
    found = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in there]
    return hashlib.sha256(repr(found).encode()).hexdigest() if found else None


def _names(dataset: Mapping[str, Any]) -> dict[str, str]:
    return ONE if "fractions" in dataset else SPLITS
