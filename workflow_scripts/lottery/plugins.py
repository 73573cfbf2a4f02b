"""Models, data sets and task families are found by file name: a new one is a new file."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

from .errors import InputError


@cache
def names(package: str) -> list[str]:
    """What `package` (models, datasets, tasks) holds, as named in a config: `lenet-300-100`."""
    path = importlib.import_module(f"lottery.{package}").__path__
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(path))


@cache
def find(package: str, name: str) -> Any:
    """The module named `name`. Raises InputError for one that is not there."""
    known = names(package)
    if name not in known:
        raise InputError(f"{package}: '{name}' is unknown; allowed: {', '.join(known)}")
    module: ModuleType = importlib.import_module(f"lottery.{package}.{name.replace('-', '_')}")
    return module
