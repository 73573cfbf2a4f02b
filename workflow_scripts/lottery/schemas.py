"""YAML files and entries held against their JSON schemas: one line says what is wrong, and where."""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from .errors import InputError

Entry = dict[str, Any]


class _UniqueLoader(yaml.SafeLoader):
    """YAML in which a key may stand only once."""


def _unique_mapping(loader: _UniqueLoader, node: yaml.MappingNode) -> Entry:
    keys = [key.value for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(
                f"{node.start_mark.name}, line {node.start_mark.line + 1}: '{key}' is there twice"
            )
    loader.flatten_mapping(node)
    return {str(key): value for key, value in loader.construct_mapping(node).items()}


_UniqueLoader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)


def read_yaml(path: Path) -> Entry:
    """A YAML mapping. Raises InputError for bad syntax or a key that stands twice."""
    try:
        with open(path) as file:
            content = yaml.load(file, _UniqueLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{path}: found {type(content).__name__}, allowed: a mapping of names to entries")
    found: Entry = content or {}
    return found


_TYPES = Draft202012Validator.TYPE_CHECKER


def _finite_number(checker: Any, value: Any) -> bool:
    return _TYPES.is_type(value, "number") and not (isinstance(value, float) and not math.isfinite(value))


# YAML has .nan and .inf, which pass every limit; JSON, in which settings are kept, has neither
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, type_checker=_TYPES.redefine("number", _finite_number)
)


def validate(entry: Entry, schema: Entry, where: str) -> Entry:
    """The entry with the schema's defaults filled in. Raises InputError: key, found, allowed."""
    errors = sorted(_Validator(schema).iter_errors(entry), key=lambda error: len(error.path))
    if errors:
        raise InputError(f"{where}: {_explain(errors[0])}")
    filled: Entry = _with_defaults(entry, schema)
    return filled


def _explain(error: ValidationError) -> str:
    schema: Any = error.schema
    key = ".".join(map(str, error.absolute_path))
    allowed: Any = error.validator_value
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        unknown = next(key for key in instance if key not in known)
        nearest = difflib.get_close_matches(str(unknown), known, 1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"allowed: {', '.join(known) or 'none'}"
        return f"unknown key '{'.'.join(filter(None, (key, str(unknown))))}'; {hint}"
    if error.validator == "required":
        return f"{key + ': ' if key else ''}{error.message}"
    found = f"{key}: found {instance!r}"
    if error.validator == "enum":
        return f"{found}, allowed: {', '.join(map(str, allowed))}"
    if error.validator == "type":
        hint = ""
        if "number" in str(allowed) and isinstance(instance, str):
            hint = " (YAML reads 1e-3 as text: write 1.0e-3)"
        return f"{found}, allowed: {allowed}{hint}"
    limits = {
        name: schema[name]
        for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "minItems")
        if name in schema
    }
    return f"{found}, allowed: {limits or error.validator}"


def _with_defaults(entry: Any, schema: Entry) -> Any:
    if isinstance(entry, dict) and "properties" in schema:
        filled = {}
        for key, inner in schema["properties"].items():
            if key in entry or "default" in inner:
                filled[key] = _with_defaults(entry.get(key, inner.get("default")), inner)
        return {**filled, **{key: value for key, value in entry.items() if key not in filled}}
    if isinstance(entry, list) and "items" in schema:
        return [_with_defaults(item, schema["items"]) for item in entry]
    return entry


def lookup(kind: str, name: str, entries: Mapping[str, Any], where: str) -> Any:
    """entries[name]. Raises InputError naming the nearest name."""
    if name not in entries:
        nearest = difflib.get_close_matches(name, entries, 1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"allowed: {', '.join(sorted(entries))}"
        raise InputError(f"{where}: {kind} '{name}' is unknown; {hint}")
    return entries[name]
