"""ImageNet 2012 (Russakovsky et al. 2015), the user's own copy: its archives, or what torchvision unpacks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import image_folder

KIND = "images"
SHAPE, CLASSES, TRAIN, TEST = (3, 224, 224), 1000, 1_281_167, 50_000
STREAMED = True


ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}


def absent(dataset: Mapping[str, Any], root: Path) -> str | None:
    """What is missing under `root`, which cannot be downloaded without an account."""
    folder = root / "imagenet"
    for part, archive in ARCHIVES.items():
        if not (folder / part).is_dir() and not (folder / archive).exists():
            return f"{folder}: has neither a folder {part} nor {archive}"
    return None


def index(root: Path) -> dict[str, Any]:
    """Files and labels of `root`/imagenet/train and val, unpacked from the official archives if need be.

    Raises InputError, which says what to put where.
    """
    from torchvision.datasets import ImageNet
    from torchvision.datasets.imagenet import ARCHIVE_META

    folder = root / "imagenet"
    for part in ("train", "val"):
        if not (folder / part).is_dir():
            archives = [ARCHIVE_META[name][0] for name in ("devkit", part)]
            if missing := [name for name in archives if not (folder / name).exists()]:
                raise InputError(
                    f"{folder}: has neither a folder {part} nor {' and '.join(missing)}; ImageNet cannot be "
                    "downloaded without an account: https://image-net.org/challenges/LSVRC/2012"
                )
            try:
                ImageNet(folder, part)
            except RuntimeError as error:
                named = [name for name in archives if name in str(error)] or archives
                raise InputError(
                    f"{folder}: {' or '.join(named)} is damaged: MD5 is not the official one"
                ) from None
    return image_folder.index(folder)
