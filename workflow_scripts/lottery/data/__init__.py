"""Kinds of data, one file or folder each: how a named data set is validated, prepared and verified.

A data set, `datasets/<name>.py`, names its kind in KIND; what else it says is the kind's affair.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from .. import plugins
from ..errors import InputError

Dataset = Mapping[str, Any]  # an entry of config/datasets with its name


class Kind(Protocol):
    """A kind of data: a module with these names. It may have `record(dataset, root)` too: a text that is
    another one when a data set's own files have changed, None where they are not there."""

    SCHEMA: dict[str, Any]
    """JSON schema of the kind's entries in config/datasets, `of` among the keys"""
    SUFFIX: str
    """`.safetensors` if a prepared data set is one file, empty if it is a folder"""

    def check(self, dataset: Dataset, /) -> None:
        """Raise InputError for an entry that cannot work, without reading the data."""

    def prepare(self, dataset: Dataset, root: Path, path: Path, /) -> None:
        """Read a data set's own files under `root`, check them, and write it to `path` as trainings read it:
        whole or not at all. Raises InputError."""

    def verify(self, path: Path, /) -> str:
        """The checksum of a prepared data set. Raises DamagedFile unless it is whole."""


def kind_of(dataset: Dataset) -> Kind:
    """The kind of a named data set. Raises InputError for an unknown one."""
    return cast(Kind, plugins.find("data", plugins.find("datasets", dataset["of"]).KIND))


def module_of(dataset: Dataset, kind: str) -> Any:
    """What a named data set has in `datasets/`. Raises InputError unless it is of that kind."""
    module = plugins.find("datasets", dataset["of"])
    if kind != module.KIND:
        raise InputError(f"dataset: found {dataset['name']}, a set of {module.KIND}; allowed: sets of {kind}")
    return module


def record_of(dataset: Dataset, root: Path, kept: Path) -> tuple[str | None, bool]:
    """What a data set's own files under `root` are, and whether that is other than when it was prepared.

    Where the files are not there, they are what they were: `kept` is the JSON beside the prepared set.
    """
    record = getattr(kind_of(dataset), "record", None)
    if record is None:
        return None, False
    try:
        before = json.loads(kept.read_text()).get("files")
    except (OSError, ValueError):
        before = None
    now = record(dataset, root)
    return now or before, now is not None and before is not None and now != before
