"""YAML files and entries held against their JSON schemas: one line says what is wrong, and where."""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from .errors import InputError

Entry = dict[str, Any]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAMES = "letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 100"

WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
    "null": "null",
}
MERGE = "tag:yaml.org,2002:merge"  # of the key <<
LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
PATTERNS = {  # a schema's patterns, in words
    "^[a-z0-9][a-z0-9._-]{0,99}$": f"small {NAMES}",
    "^[][A-Za-z0-9._*?!-]{1,100}$": "letters, digits, '.', '_', '-', and * ? [ ] ! for what may vary",
    "^epoch[1-9][0-9]*$": "epochN with N from 1",
}


def _finite(checker: Any, value: Any) -> bool:
    """Whether a value is a number that can be computed with: .inf and .nan are none, nor is 10^400."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _whole(checker: Any, value: Any) -> bool:
    """60.0 is none, since it would be used where only 60 can be."""
    return isinstance(value, int) and _finite(checker, value)


def _one_of(validator: Any, allowed: Any, value: Any, schema: Entry) -> Iterator[ValidationError]:
    """As `enum` has it, but 18.0 is not 18."""
    if not any(type(value) is type(each) and value == each for each in allowed):
        yield ValidationError("is none of these")


def _matching(validator: Any, pattern: str, value: Any, schema: Entry) -> Iterator[ValidationError]:
    """As `pattern` has it, but $ is the end, not a line break before it."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError("does not match")


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"enum": _one_of, "pattern": _matching},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"number": _finite, "integer": _whole}),
)


class _UniqueLoader(yaml.SafeLoader):
    """YAML in which a key may stand only once."""


def _unique_mapping(loader: _UniqueLoader, node: yaml.MappingNode) -> Entry:
    seen: set[Any] = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # a list or a mapping is no key, which construct_mapping says
        name = key.value if key.tag == MERGE else loader.construct_object(key)
        if key.tag == MERGE:
            loader.construct_object(value, deep=True)  # whose own keys are looked at so
        same = {name, str(name)}  # 1 is 0x1, and becomes "1"
        if same & seen:
            raise InputError(
                f"{node.start_mark.name}, line {node.start_mark.line + 1}: '{name}' is there twice"
            )
        seen |= same
    loader.flatten_mapping(node)
    return {str(key): value for key, value in loader.construct_mapping(node).items()}


def _list(loader: _UniqueLoader, node: yaml.SequenceNode) -> list[Any]:
    """Built at once, so that a list that is its own item is refused, as such a mapping is."""
    return loader.construct_sequence(node, deep=True)


_UniqueLoader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)
_UniqueLoader.add_constructor("tag:yaml.org,2002:seq", _list)


def read_yaml(path: Path) -> Entry:
    """A YAML mapping. Raises InputError for a file that is none, bad syntax or a key that stands twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text in UTF-8") from None
    content = parse_yaml(text, str(path))
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{path}: found {type(content).__name__}, allowed: a mapping of names to entries")
    found: Entry = content or {}
    return found


def parse_yaml(text: str, where: str) -> Any:
    """The content of YAML in which a key stands only once. Raises InputError."""
    try:
        loader = _UniqueLoader(text)
        loader.name = where
        return loader.get_single_data()
    except RecursionError:
        raise InputError(f"{where}: is not YAML: lists or mappings are nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # the second of a date such as 2001-99-99
        raise InputError(f"{where}: is not YAML: {' '.join(str(error).split())}") from None


def check_name(name: str, where: str) -> None:
    """Raise InputError for a name that cannot be part of a path everywhere."""
    if not NAME.fullmatch(name):
        raise InputError(f"{where}: name: found {name!r}, allowed: {NAMES}")


def validate(entry: Any, schema: Entry, where: str) -> Entry:
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
    found = f"{key + ': ' if key else ''}found {instance!r}"
    if error.validator == "uniqueItems":
        return f"{found}, allowed: each value once"
    hint = ""
    if error.validator == "type" and "number" in str(allowed) and isinstance(instance, str):
        hint = " (YAML reads 1e-3 as text: write 1.0e-3)"
    return f"{found}, allowed: {in_words(schema)}{hint}"


def in_words(schema: Entry) -> str:
    """What a schema lets through, as a reader would say it: `a whole number from 0 to 98`."""
    if "const" in schema or "enum" in schema:
        return ", ".join(map(_plain, schema.get("enum", [schema.get("const")])))
    if schema.get("pattern") in PATTERNS:
        return PATTERNS[schema["pattern"]]
    kinds = schema.get("type", [])
    said = " or ".join(WORDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
    limits = [f"{word} {schema[limit]}" for limit, word in LIMITS.items() if limit in schema]
    if limits:
        said = f"{said or 'a number'} {' and '.join(limits).replace(' and to ', ' to ')}"
    if "minItems" in schema:
        least = "one" if schema["minItems"] == 1 else str(schema["minItems"])
        said += f" of {least}" if schema["minItems"] == schema.get("maxItems") else f" of at least {least}"
    return said + (f" that matches {schema['pattern']}" if "pattern" in schema else "")


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


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
