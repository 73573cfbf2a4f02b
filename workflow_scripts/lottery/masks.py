"""Masks: which prunable weights are kept. One bit a weight on disk, checksummed, read with numpy alone.

file = np.load("mask.npz"); header = json.loads(str(file["header"])); shape = header["shapes"]["fc1.weight"]
mask = np.unpackbits(file["fc1.weight"], count=math.prod(shape)).astype(bool).reshape(shape)
"""

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DamagedFile
from .files import checksum, replacing, verify

Mask = dict[str, np.ndarray]  # tensor name -> bool array of the tensor's shape; prunable tensors only


def kept(mask: Mapping[str, np.ndarray]) -> int:
    return sum(int(np.count_nonzero(m)) for m in mask.values())


def prunable(mask: Mapping[str, np.ndarray]) -> int:
    return sum(m.size for m in mask.values())


def apply(mask: Mapping[str, np.ndarray], tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors with pruned weights exactly 0 (never -0 or NaN); survivors keep their bits."""
    return {
        name: np.where(mask[name], a, a.dtype.type(0)) if name in mask else a for name, a in tensors.items()
    }


def permute_layers(mask: Mask, rng: np.random.Generator) -> Mask:
    """Each layer's mask shuffled within the layer: the kept count of every layer stays."""
    return {name: rng.permutation(m.reshape(-1)).reshape(m.shape) for name, m in mask.items()}


def permute_globally(mask: Mask, rng: np.random.Generator) -> Mask:
    """All masks shuffled as one: only the total kept count stays."""
    return split(rng.permutation(np.concatenate([m.reshape(-1) for m in mask.values()])), mask)


def random(shapes: Mapping[str, tuple[int, ...]], keep: int, rng: np.random.Generator) -> Mask:
    """A mask of exactly `keep` weights drawn uniformly: a globally permuted mask of that count."""
    empty = {name: np.zeros(shape, dtype=bool) for name, shape in shapes.items()}
    flat = np.zeros(prunable(empty), dtype=bool)
    flat[:keep] = True
    return split(rng.permutation(flat), empty)


def split(flat: np.ndarray, like: Mapping[str, np.ndarray]) -> Mask:
    ends = np.cumsum([m.size for m in like.values()])
    return {
        name: part.reshape(m.shape)
        for (name, m), part in zip(like.items(), np.split(flat, ends[:-1]), strict=True)
    }


def save(path: str | Path, mask: Mapping[str, np.ndarray], **header: Any) -> None:
    """Write a mask and a JSON header, atomically."""
    bits = {name: np.packbits(m.reshape(-1)) for name, m in mask.items()}
    header["shapes"] = {name: list(m.shape) for name, m in mask.items()}
    header["kept"] = {name: int(np.count_nonzero(m)) for name, m in mask.items()}
    text = np.array(json.dumps({**header, "sha256": checksum(bits, header)}))
    with replacing(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, header=text, **bits)  # type: ignore[arg-type]


def load(path: str | Path) -> tuple[Mask, dict[str, Any]]:
    """A mask and its header. Raises DamagedFile unless bits, shapes, counts and checksum agree."""
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            bits = {name: file[name] for name in header["shapes"]}
        verify(path, bits, header)
        mask = {
            name: np.unpackbits(bits[name], count=math.prod(shape)).astype(bool).reshape(shape)
            for name, shape in header["shapes"].items()
        }
    except FileNotFoundError:
        raise DamagedFile(path, "is missing") from None
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError) as error:
        raise DamagedFile(path, f"is damaged or truncated ({error})") from None
    return mask, header
