"""Places365-Standard (Zhou et al. 2017) at 256 x 256 pixels, the user's own copy as torchvision reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..downloads import verify
from ..errors import InputError

KIND = "images"
SHAPE, CLASSES, TRAIN, TEST = (3, 224, 224), 365, 1_803_460, 36_500
STREAMED = True


def absent(dataset: Mapping[str, Any], root: Path) -> str | None:
    """What is missing under `root`, which has to be unpacked there."""
    folder = root / "places365"
    missing = [name for name in ("data_256_standard", "val_256") if not (folder / name).is_dir()]
    return f"{folder}: has no folder {' and '.join(missing)}" if missing else None


def index(root: Path) -> dict[str, Any]:
    """Files and labels of `root`/places365, which has the official lists and unpacked images.

    Raises DamagedFile for a list that is not the official one, InputError, which says what to put where.
    """
    from torchvision.datasets import Places365

    folder, found = root / "places365", dict[str, Any]()
    for part, split, images in (("train", "train-standard", "data_256_standard"), ("test", "val", "val_256")):
        for name, md5 in (Places365._CATEGORIES_META, Places365._FILE_LIST_META[split]):
            if not (folder / name).exists():
                raise InputError(
                    f"{folder / name}: is missing; it is in {Places365._DEVKIT_META['standard'][0]}"
                )
            verify(folder / name, md5)
        if not (folder / images).is_dir():
            archive = Places365._IMAGES_META[split, True][0]
            raise InputError(
                f"{folder / images}: is missing; unpack {archive} of {Places365._BASE_URL} there"
            )
        listed = Places365(folder, split, small=True)
        found[f"{part}_files"] = [Path(path) for path, _ in listed.imgs]
        found[f"{part}_labels"] = np.array(listed.targets, dtype=np.int64)
    return found
