"""Files that are whole or not there, and checksums over the arrays in them."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DamagedFile


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is synced and renamed to `path`, else removed.

    Its mode is what the umask says, whoever writes it; an error of the disk names `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _named(path):
            mode = _mode_here(part)
            yield part
            os.chmod(part, mode)
            with open(part, "rb") as written:
                os.fsync(written.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _mode_here(probe: Path) -> int:
    """The mode of a new file, as umask and folder give it; safetensors, for one, makes its own with 0600."""
    probe.touch()
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    return mode


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """An error such as a full disk, which writing raises without a name, gets that of the file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


SEAL = "seal.json"
SNAKEMAKE = ".snakemake_timestamp"  # which Snakemake puts into every folder that a rule makes


@contextmanager
def replacing_folder(path: str | Path, header: Mapping[str, Any]) -> Iterator[Path]:
    """Yield an empty folder beside `path` to put files into; on success it is sealed with a header and their
    checksums, and replaces `path`. A kill in between leaves the old one or the new one, and `sealed` finds
    it."""
    path = Path(path)
    part, old = path.with_name(f".{path.name}.{os.getpid()}.part"), _replaced(path)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with _named(path):
            mode = _mode_here(part / SEAL)
            yield part
            written = {str(file.relative_to(part)): digest_of(file) for file in _within(part)}
            said = {**header, "files": written}
            write_json(part / SEAL, {**said, "sha256": checksum({}, said)})
            for file in _within(part):
                os.chmod(file, mode)
                with open(file, "rb") as each:
                    os.fsync(each.fileno())
            if path.exists():
                shutil.rmtree(old, ignore_errors=True)
                os.rename(path, old)
            os.rename(part, path)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sealed(path: str | Path) -> dict[str, Any]:
    """The header of a folder that `replacing_folder` wrote. Raises DamagedFile unless its files are all there
    and as they were written."""
    path = Path(path)
    if not path.exists() and _replaced(path).exists():
        os.rename(_replaced(path), path)  # killed between two renames
    try:
        header: dict[str, Any] = json.loads((path / SEAL).read_text())
    except FileNotFoundError:
        raise DamagedFile(path, "is missing or has no seal") from None
    except ValueError as error:
        raise DamagedFile(path / SEAL, f"is damaged ({error})", delete=path) from None
    said = header.pop("sha256", None)
    if checksum({}, header) != said:
        raise DamagedFile(path / SEAL, "is damaged", delete=path)
    found = {str(file.relative_to(path)) for file in _within(path)} - {SEAL}
    for name, digest in header["files"].items():
        if name not in found or digest_of(path / name) != digest:
            raise DamagedFile(path / name, "is damaged" if name in found else "is missing", delete=path)
    if extra := found - header["files"].keys():
        raise DamagedFile(path / min(extra), "does not belong here", delete=path)
    return header


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _within(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != SNAKEMAKE)


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
