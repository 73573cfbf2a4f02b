"""Kinds of data, one file or folder each: how a named data set is validated, prepared and verified.

A data set, `datasets/<name>.py`, names its kind in KIND; what else it says is the kind's affair.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from .. import plugins
from ..errors import InputError

Dataset = Mapping[str, Any]  # an entry of config/datasets with its name


class Kind(Protocol):
    """A kind of data: a module with these names."""

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
