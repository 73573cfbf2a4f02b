"""Tasks, recipes and studies: read, validated and completed with defaults before anything runs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from . import criteria, data, plugins, rewinding, runs
from .errors import InputError
from .schemas import Entry, check_name, lookup, parse_yaml, read_yaml, validate
from .sweeps import expand

Entries = Iterable[tuple[Path, str, Entry]]


def check_study_file(path: Path) -> None:
    """Raise InputError for a study's file in which a key stands twice, or that is no mapping or empty."""
    if not read_yaml(path):
        raise InputError(f"{path}: is empty, allowed: a study, such as config/config.yaml")


def from_command_line(texts: Iterable[str], schema: Entry) -> Entry:
    """Keys of a study and their values from Snakemake's `--config seeds=[2] levels=3`, read as YAML;
    Snakemake leaves what is inside of a list as text. Raises InputError."""
    found: dict[str, Any] = {}
    for given in texts:
        key, _, text = given.partition("=")
        is_text = schema["properties"].get(key, {}).get("type") == "string"
        found[key] = text if is_text else parse_yaml(text, f"--config {key}")
    return found


def _read_entries(folder: Path) -> Entries:
    """(file, name, entry) of every entry in a folder's YAML files; names starting with _ are templates."""
    for path in sorted(folder.glob("*.yaml")):
        for name, entry in read_yaml(path).items():
            if name.startswith("_"):
                continue
            if not isinstance(entry, dict):
                raise InputError(f"{path}: {name}: found {entry!r}, allowed: a mapping")
            yield path, name, entry


def _expanded(entries: Entries) -> Entries:
    """The entries, those of a sweep in its place."""
    for path, name, entry in entries:
        for texts, chosen in expand({"name": name}, entry, f"{path}: {name}"):
            yield path, texts["name"], chosen


def _each_once(entries: Entries) -> Entries:
    """The entries. Raises InputError for a name that stands twice, or that cannot be part of a path."""
    seen: dict[str, Path] = {}
    for path, name, entry in entries:
        check_name(name, f"{path}: {name}")
        if name in seen:
            raise InputError(f"{path}: '{name}' is defined in {seen[name]} already")
        seen[name] = path
        yield path, name, entry


def read_datasets(folder: Path) -> dict[str, Entry]:
    """All data sets, those under config/datasets and the whole ones they are of. Raises InputError."""
    whole = plugins.names("datasets")
    datasets = {name: {"name": name, "of": name} for name in whole if _needs_no_entry(name)}
    for path, name, entry in _each_once(_read_entries(folder)):
        where = f"{path}: {name}"
        if name in whole:
            raise InputError(f"{where}: is the name of a data set already")
        if entry.get("of") not in whole:
            raise InputError(f"{where}: of: found '{entry.get('of')}', allowed: {', '.join(whole)}")
        kind = data.kind_of(entry)
        entry = validate(entry, kind.SCHEMA, where)
        try:
            kind.check(entry)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        datasets[name] = {"name": name, **entry}
    return datasets


def absent(dataset: Mapping[str, Any], root: Path) -> str | None:
    """In one line what files of a data set are missing, or that they are still to be downloaded."""
    module = plugins.find("datasets", dataset["of"])
    if hasattr(module, "absent"):
        return cast(str | None, module.absent(dataset, root))
    names = getattr(module, "DOWNLOADED", ())
    if names and not any((root / name).exists() for name in names):
        return f"{root / names[0]}: is not there, and will be downloaded"
    return None


def _needs_no_entry(name: str) -> bool:
    entry = {"name": name, "of": name}
    try:
        data.kind_of(entry).check(entry)
    except InputError:
        return False
    return True


def read_tasks(folder: Path, datasets: Mapping[str, Entry]) -> dict[str, Entry]:
    """All tasks under config/tasks, with their data sets, checked by their families. Raises InputError."""
    tasks = {}
    for path, name, entry in _each_once(_expanded(_read_entries(folder))):
        where = f"{path}: {name}"
        try:
            family = runs.family(str(entry.get("family")))
            task = validate(entry, family.SCHEMA, where)
            if "dataset" in task:
                task["dataset"] = lookup("dataset", task["dataset"], datasets, where)
            family.check(task)
            needed = family.dataset(task)
            if needed is not None and task.get("dataset", {}).get("name") != needed:
                raise InputError(
                    f"dataset: family {entry['family']} reads {needed}, which its task does not name"
                )
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
    known = [name for name, value in vars(criteria).items() if callable(value)] + list(criteria.SCORED)
    recipes = {}
    for path, name, entry in _each_once(_read_entries(folder)):
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
        for pattern in recipe["exclude"]:
            if set(pattern) == {"*"}:
                raise InputError(f"{where}: exclude: found '{pattern}', which leaves nothing to prune")
        if recipe["criterion"] in criteria.SCORED:
            _check_scored(recipe, entry, where)
        _check_rewind(recipe["rewind"], where)
        recipes[name] = recipe
    return recipes


def _check_scored(recipe: Entry, given: Entry, where: str) -> None:
    """A criterion that looks at data scores what a level starts from, in one step (Lee et al. 2019): which
    weights that are is said, not left to a default. given: the recipe without defaults."""
    said = f"with criterion {recipe['criterion']}, which scores what a ticket starts from; allowed:"
    if recipe["iterative"]:
        raise InputError(f"{where}: iterative: found true {said} false")
    if "weights" not in given.get("rewind", {}) or recipe["rewind"]["weights"] == "final":
        found = given.get("rewind", {}).get("weights", "nothing")
        raise InputError(f"{where}: rewind.weights: found {found} {said} init, or a rewind point")


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
