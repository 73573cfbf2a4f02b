"""Sweeps: entries that differ in a few keys are written once, with the values that each key takes."""

import copy
import itertools
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .errors import InputError
from .schemas import Entry

FIELD = re.compile(r"\{([^{}]*)\}|[{}]")  # a key in braces, or a brace without its other half


def expand(texts: Mapping[str, str], entry: Entry, where: str) -> list[tuple[dict[str, str], Entry]]:
    """(texts, entry) for every choice of an entry's swept values, those of the first key changing slowest.

    texts: the entry's `name`, and what else has swept keys in braces; without a sweep all is left as it is
    Raises InputError for a sweep that is none, and for a name that does not tell its choices apart.
    """
    if "sweep" not in entry:
        _check_fields(texts["name"], (), f"{where}: name")
        return [(dict(texts), entry)]
    sweep = _checked(entry["sweep"], f"{where}: sweep")
    for key, text in texts.items():
        _check_fields(text, sweep, f"{where}: {key}")
    for key in sweep:
        if f"{{{key}}}" not in texts["name"]:
            raise InputError(f"{where}: sweep: {key}: is not in the name, allowed: a name with {{{key}}}")
    return [
        _chosen(texts, entry, dict(zip(sweep, values, strict=True)), where)
        for values in itertools.product(*sweep.values())
    ]


def _chosen(
    texts: Mapping[str, str], entry: Entry, values: Mapping[str, Any], where: str
) -> tuple[dict[str, str], Entry]:
    """The texts and the entry with one value for each swept key."""
    chosen = copy.deepcopy(entry)  # YAML's anchors are shared by entries
    for key, value in values.items():
        _put(chosen, key, value, f"{where}: sweep: {key}")
    del chosen["sweep"]
    written = {key: _written(value, where) for key, value in values.items()}
    filled = {key: FIELD.sub(lambda field: written[field[1]], text) for key, text in texts.items()}
    _check_fields(filled["name"], (), f"{where}: name")  # a value may have braces
    return filled, chosen


def _checked(sweep: Any, where: str) -> dict[str, list[Any]]:
    if not isinstance(sweep, dict) or not sweep:
        raise InputError(f"{where}: found {sweep!r}, allowed: a mapping of keys to lists of values")
    for key, values in sweep.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{where}: {key}: found {values!r}, allowed: a list of one value or more")
        written = [_written(value, f"{where}: {key}") for value in values]
        for text in written:
            if written.count(text) > 1:
                raise InputError(f"{where}: {key}: found {text} twice, allowed: each value once")
    return {str(key): values for key, values in sweep.items()}


def _check_fields(text: str, swept: Collection[str], where: str) -> None:
    for field in FIELD.finditer(text):
        if field[1] not in swept:
            allowed = ", ".join(f"{{{key}}}" for key in swept) or "braces around a key of a sweep"
            raise InputError(f"{where}: found {field[0]}, which is not swept, allowed: {allowed}")


def _put(entry: Entry, path: str, value: Any, where: str) -> None:
    """Set a key, or with dots one of a mapping inside, which is made if it is not there."""
    *outer, last = path.split(".")
    for key in outer:
        entry = entry.setdefault(key, {})
        if not isinstance(entry, dict):
            raise InputError(f"{where}: {key}: found {entry!r}, allowed: a mapping")
    entry[last] = value


def _written(value: Any, where: str) -> str:
    """A value as names have it: 0.0012, true, epoch30, crop-flip."""
    if isinstance(value, list) and not any(isinstance(item, list) for item in value):
        return "-".join(_written(item, where) for item in value) or "none"
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    if value is None or isinstance(value, int):
        return json.dumps(value)  # true and null as in YAML
    if isinstance(value, str):
        return value
    raise InputError(f"{where}: found {value!r}, allowed: a number, text, true, false or a list of these")
