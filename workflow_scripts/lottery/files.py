"""Files that are whole or not there, and checksums over the arrays in them."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DamagedFile


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is synced and renamed to `path`, else removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text)


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write standard JSON: a NaN or an infinity is an error here, not a silent token."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def checksum(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any] | None = None) -> str:
    """SHA-256 over a JSON header and, in order of name, names, types, shapes and bytes of arrays."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {list(arrays[name].shape)}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def verify(path: str | Path, arrays: Mapping[str, np.ndarray], header: dict[str, Any]) -> None:
    """Raise DamagedFile unless arrays and header match the header's own checksum."""
    said = str(header.get("sha256"))
    found = checksum(arrays, {key: value for key, value in header.items() if key != "sha256"})
    if found != said:
        raise DamagedFile(path, f"has checksum {found[:16]}, its header says {said[:16]}")
