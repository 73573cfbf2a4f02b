"""MNIST (LeCun et al. 1998), from the official files through torchvision."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..downloads import download, verify
from ..errors import DamagedFile, InputError

KIND = "images"
SHAPE, CLASSES, TRAIN, TEST = (1, 28, 28), 10, 60_000, 10_000
UNPACKED = {  # MD5 of an official .gz, of MNIST and Fashion-MNIST -> of the file in it
    "f68b3c2dcbeaaa9fbdd348bbdeb94873": "6bbc9ace898e44ae57da46a324031adb",
    "d53e105ee54ea40749a09fcbcd1e9432": "a25bea736e30d166cdddb491f175f624",
    "9fb629c4189551a2d022fa330f9573f3": "2646ac647ad5339dbf082846283269ea",
    "ec29112dd5afa0611ce80d1b7f02629c": "27ae3e4e09519cfbb04c329615203637",
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "25c81989df183df01b3e8a0aad5dffbe": "9018921c3c673c538a1fc5bad174d6f9",
    "bef4ecab320f06d8554ea6380940ec79": "8181f5470baa50b63fa0f6fddb340f0a",
    "bb300cfdad3c16e7a12a480ee83cd310": "15d484375f8d13e6eb1aabb0c3f46965",
}
UNSIGNED_BYTE = 8
DOWNLOADED = ("MNIST/raw",)  # one is there, or it is downloaded


def load(root: Path) -> dict[str, np.ndarray]:
    """Train and test images [N, 1, 28, 28] uint8 and labels [N] int64 from `root`/MNIST/raw."""
    from torchvision.datasets import MNIST

    return load_idx(MNIST, root)


def load_idx(dataset: Any, root: Path) -> dict[str, np.ndarray]:
    """Read a torchvision data set of the MNIST format, downloading what is not there.

    Every .gz is checked against torchvision's MD5; a file that is there unpacked and not packed, by type and
    size and against the MD5 of the official content. The data root may be read-only when it is complete.
    Raises DamagedFile, InputError (not there and no download).
    """
    from torchvision.datasets.utils import extract_archive

    raw = root / dataset.__name__ / "raw"
    with tempfile.TemporaryDirectory() as temporary:
        links = Path(temporary) / dataset.__name__ / "raw"
        links.mkdir(parents=True)
        for name, md5 in dataset.resources:
            unpacked = raw / name.removesuffix(".gz")
            if unpacked.exists() and not (raw / name).exists():
                _verify_unpacked(unpacked, md5)
                (links / unpacked.name).symlink_to(unpacked.resolve())
                continue
            if not (raw / name).exists():
                try:
                    download([mirror + name for mirror in dataset.mirrors], raw / name, md5)
                except InputError as error:
                    raise InputError(f"{error}; nor is {unpacked.name} there") from None
            verify(raw / name, md5)
            extract_archive(str(raw / name), str(links))
        arrays = {}
        for part, train in (("train", True), ("test", False)):
            split = dataset(temporary, train=train)
            arrays[f"{part}_images"] = split.data.numpy()[:, None].astype(np.uint8)
            arrays[f"{part}_labels"] = split.targets.numpy().astype(np.int64)
    return arrays


def _verify_unpacked(path: Path, packed: str) -> None:
    """Raises DamagedFile unless a file has the type and the size that its name and its first bytes say, and
    the content that the official .gz, of MD5 `packed`, has."""
    dimensions = 3 if "idx3" in path.name else 1
    start = 4 + 4 * dimensions
    try:
        with open(path, "rb") as file:
            header = file.read(start)
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if header[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise DamagedFile(
            path, f"is not a file of bytes in {dimensions} dimensions, unpacked from {path.name}.gz"
        )
    shape = np.frombuffer(header[4:].ljust(4 * dimensions, b"\0"), ">u4").astype(np.int64)
    expected = start + int(shape.prod())
    if size != expected:
        raise DamagedFile(path, f"has {size} bytes, its header says {expected}")
    if packed in UNPACKED:
        verify(path, UNPACKED[packed])
