"""Weights of a network and what each tensor is; stored as safetensors with a checksum."""

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .errors import DamagedFile
from .files import checksum, replacing, verify

ROLES = ("weight", "bias", "embedding", "norm", "buffer")


@dataclass(frozen=True)
class Network:
    """All tensors of one network.

    tensors: name -> float array (buffers may be integer), tied tensors once
    roles:   name -> one of ROLES; `norm` is a normalisation layer's scale or shift
    output:  names of the output layer's tensors, which a transfer draws afresh
    """

    tensors: dict[str, np.ndarray]
    roles: dict[str, str]
    output: tuple[str, ...]

    def with_tensors(self, tensors: Mapping[str, np.ndarray]) -> "Network":
        return replace(self, tensors=dict(tensors))

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(a.size for name, a in self.tensors.items() if self.roles[name] != "buffer")


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write arrays and a JSON header to one safetensors file, with their checksum, atomically."""
    arrays = {name: np.ascontiguousarray(a) if a.ndim else a for name, a in arrays.items()}
    text = json.dumps({**header, "sha256": checksum(arrays, header)})
    with replacing(path) as part:
        # one metadata key only: several would be written in an order that changes from run to run
        try:
            save_file(arrays, part, metadata={"lottery": text})
        except SafetensorError as error:
            number = errno.ENOSPC if "os error 28" in str(error) else errno.EIO
            raise OSError(number, str(error), str(path)) from None


def load_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save_arrays` wrote. Raises DamagedFile unless the content matches its checksum."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["lottery"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise DamagedFile(path, "is missing") from None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise DamagedFile(path, f"is damaged or truncated ({error})") from None
    verify(path, arrays, header)
    return arrays, header


def save(path: str | Path, network: Network, **header: Any) -> None:
    save_arrays(path, network.tensors, {"roles": network.roles, "output": network.output, **header})


def save_points(path: str | Path, points: Mapping[str, Network], like: Network, **header: Any) -> None:
    """Write one network at several points of a training to one file; `like` tells what its tensors are."""
    arrays = {f"{p}/{name}": a for p, network in points.items() for name, a in network.tensors.items()}
    save_arrays(path, arrays, {"roles": like.roles, "output": like.output, "points": list(points), **header})


def load(path: str | Path, point: str | None = None) -> tuple[Network, dict[str, Any]]:
    """A network and the header it was saved with; point: which one of a file of several. Raises
    DamagedFile."""
    arrays, header = load_arrays(path)
    if point is not None:
        if point not in header["points"]:
            raise DamagedFile(path, f"holds {', '.join(header['points']) or 'no point'}, not {point}")
        arrays = under(arrays, f"{point}/")
    return Network(arrays, header["roles"], tuple(header["output"])), header


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
