"""Tasks, recipes and studies: read, validated and completed with defaults before anything runs."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from . import criteria, plugins, rewinding
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


def validate(entry: Entry, schema: Entry, where: str) -> Entry:
    """The entry with the schema's defaults filled in. Raises InputError: key, found, allowed."""
    errors = sorted(Draft202012Validator(schema).iter_errors(entry), key=lambda error: len(error.path))
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


def _read_entries(folder: Path) -> Iterable[tuple[Path, str, Any]]:
    """(file, name, entry) of every entry in a folder's YAML files; names starting with _ are templates."""
    seen: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        for name, entry in read_yaml(path).items():
            if str(name).startswith("_"):
                continue
            if name in seen:
                raise InputError(f"{path}: '{name}' is defined in {seen[name]} already")
            seen[name] = path
            if not isinstance(entry, dict):
                raise InputError(f"{path}: {name}: found {entry!r}, allowed: a mapping")
            yield path, name, entry


def read_datasets(folder: Path, schema: Entry) -> dict[str, Entry]:
    """All data sets, those under config/datasets and the whole ones they are of. Raises InputError."""
    whole = plugins.names("datasets")
    datasets = {name: {"name": name, "of": name} for name in whole if name != "image-folder"}
    for path, name, entry in _read_entries(folder):
        where = f"{path}: {name}"
        if name in whole:
            raise InputError(f"{where}: is the name of a data set already")
        entry = validate(entry, schema, where)
        if entry["of"] not in whole:
            raise InputError(f"{where}: of: found '{entry['of']}', allowed: {', '.join(whole)}")
        sizes = ("shape", "classes", "train", "test")
        given = [key for key in sizes if key in entry]
        if given != (wanted := list(sizes) if entry["of"] == "image-folder" else []):
            raise InputError(
                f"{where}: of {entry['of']}, found {', '.join(given) or 'none'} of {', '.join(sizes)}; "
                f"expected {'all' if wanted else 'none'}"
            )
        if entry.get("streamed") and entry.get("shape", [0])[0] != 3:
            raise InputError(f"{where}: streamed: allowed for image-folder with three channels")
        if "first_classes" in entry and "first_per_class" not in entry:
            raise InputError(f"{where}: first_classes: needs first_per_class, which says how many of each")
        datasets[name] = {"name": name, **entry}
    return datasets


def read_tasks(folder: Path, datasets: Mapping[str, Entry]) -> dict[str, Entry]:
    """All tasks under config/tasks, with their data sets, checked by their families. Raises InputError."""
    tasks = {}
    for path, name, entry in _read_entries(folder):
        where = f"{path}: {name}"
        try:
            family = plugins.find("tasks", str(entry.get("family")))
            task = validate(entry, family.SCHEMA, where)
            if "dataset" in task:
                task["dataset"] = lookup("dataset", task["dataset"], datasets, where)
            family.check(task)
            length = family.steps(task, task["length"])
            for point in task["rewind_points"]:
                if family.steps(task, point) > length:
                    raise InputError(f"rewind point {point} is after the end of training, {task['length']}")
        except InputError as error:
            raise InputError(f"{where}: {str(error).removeprefix(f'{where}: ')}") from None
        tasks[name] = {"name": name, **task}
    return tasks


def read_recipes(folder: Path, schema: Entry) -> dict[str, Entry]:
    """All recipes under config/recipes. Raises InputError."""
    known = [name for name, value in vars(criteria).items() if callable(value)]
    recipes = {}
    for path, name, entry in _read_entries(folder):
        where = f"{path}: {name}"
        recipe = validate(entry, schema, where)
        if recipe["criterion"] not in known:
            raise InputError(
                f"{where}: criterion: found '{recipe['criterion']}', allowed: {', '.join(known)}"
            )
        if recipe["rates"] and recipe["scope"] != "layerwise":
            raise InputError(
                f"{where}: rates: allowed with scope layerwise only, found scope {recipe['scope']}"
            )
        _check_rewind(recipe["rewind"], where)
        recipes[name] = recipe
    return recipes


def _check_rewind(rewind: Entry, where: str) -> None:
    for key, words in (("weights", ("final",)), ("schedule", ("start", "end"))):
        if rewind[key] not in words:
            try:
                rewinding.parse(rewind[key])
            except InputError as error:
                raise InputError(f"{where}: rewind.{key}: {error}, {', '.join(words)}") from None
    if rewind["optimizer"] == "rewound" and rewind["weights"] in ("init", "final"):
        raise InputError(
            f"{where}: rewind.optimizer: found rewound with weights from {rewind['weights']}; "
            "allowed with a rewind point such as epoch1"
        )
