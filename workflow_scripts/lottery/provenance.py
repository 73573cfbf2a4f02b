"""How a run came about: versions, commit, machine, time and memory. None of it decides a result."""

import ast
import csv
import hashlib
import io
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import RESULTS_VERSION
from .files import write_text

UNKNOWN = "unknown"


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide numbers; of this code the git commit."""
    found = {"python": recorded(platform.python_version), "results_version": str(RESULTS_VERSION)}
    for package in ("torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "commit": recorded(_commit)}


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() or UNKNOWN


def recorded(ask: Callable[[], Any]) -> Any:
    """What is only a record never costs a result: `unknown` where it cannot be had."""
    try:
        return ask()
    except Exception as error:
        name = getattr(ask, "__name__", "").strip("_")
        print(f"no record of the {name.replace('_', ' ')}: {error}", file=sys.stderr)
        return UNKNOWN


def code_of(*modules: str) -> str:
    """A digest of these library modules that no comment, docstring or layout changes."""
    digest = hashlib.sha256()
    for module in modules:
        tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [n for n in body if not _is_text(n)]  # type: ignore[attr-defined]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def provenance(seconds: float) -> dict[str, Any]:
    """seconds: wall time trained. Memory is the peak of this process, in bytes."""
    return {
        "seconds": round(seconds, 3),
        "peak_memory_bytes": recorded(_peak_memory),
        "host": recorded(platform.node),
        "device": recorded(_device),
        "versions": recorded(versions),
    }


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _device() -> str:
    if "torch" not in sys.modules:
        return "cpu"
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def write_curve(path: str | Path, curve: Sequence[dict[str, Any]]) -> None:
    """A tidy CSV, one row per evaluation; empty where a value does not exist."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(curve[0]) if curve else ["step"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(curve)
    write_text(path, text.getvalue())
