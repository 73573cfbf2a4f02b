"""Every key of every schema there is, spoilt in every way: a valid plan or one clear line, never a traceback.

Schemas are found, not listed: those under config/schemas, and those of every family, kind of data, model and
analysis.
"""

import copy
import importlib
from collections import Counter
from functools import cache

import pytest
import yaml
from conftest import REPO, STUDY, TINY
from lottery import analysis, data, plugins, runs
from lottery.errors import InputError
from lottery.schemas import read_yaml
from lottery.study import read_study

SCHEMAS = REPO / "config/schemas"
STRANGE = [
    None,
    True,
    0,
    1,
    -1,
    2**70,
    10**400,
    1.0,
    0.5,
    -0.5,
    "",
    "1e-3",
    "a b",
    "a/b",
    "é",
    "x\ny",
    "*",
    "{x}",
]
STRANGE += [float("inf"), float("-inf"), float("nan"), [], [[]], [None], [1, 1], {}, {"a": None}, {1: 2}]


class Config:
    """A config folder in which one file at a time is spoilt; read_study reads it, and nothing is started."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("tasks", "recipes", "datasets", "studies"):
            (folder / name).mkdir()
        (folder / "schemas").symlink_to(SCHEMAS)
        self.tasks, self.recipes, self.resources = {"tiny": TINY}, {"imp": {}}, {"all": RESOURCES}
        self.datasets = {}

    def read(self, study=STUDY, **files):
        """The study, with what is given in place of the folder's own."""
        for name in ("tasks", "recipes", "datasets"):
            write(self.folder / name / "all.yaml", getattr(self, name) | files.get(name, {}))
        write(self.folder / "resources.yaml", files.get("resources", self.resources))
        return read_study(copy.deepcopy(study), self.folder)


RESOURCES = read_yaml(REPO / "config/resources.yaml")["all"]


@cache
def schema_of(path):
    return read_yaml(path)


def read_once(path):
    """As read_yaml, which takes most of the time for schemas, and they stay as they are."""
    return schema_of(path) if path.parent.name == "schemas" else read_yaml(path)


def write(path, content):
    path.write_text(yaml.dump(content, Dumper=Plain, sort_keys=False, allow_unicode=True))


class Plain(yaml.CSafeDumper if hasattr(yaml, "CSafeDumper") else yaml.SafeDumper):
    """YAML without anchors."""

    def ignore_aliases(self, data):
        return True


def paths(schema, prefix=()):
    """Every key of a schema, those inside others too; 0 stands for the items of a list."""
    for key, inner in schema.get("properties", {}).items():
        yield (*prefix, key)
        yield from paths(inner, (*prefix, key))
    items = schema.get("items")
    if isinstance(items, dict):
        yield (*prefix, 0)
        yield from paths(items, (*prefix, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield (*prefix, "another")
        yield from paths(schema["additionalProperties"], (*prefix, "another"))


def at(schema, path):
    for key in path:
        if key == 0:
            schema = schema["items"]
        else:
            schema = schema.get("properties", {}).get(key) or schema["additionalProperties"]
    return schema


def resolved(schema, root):
    """A schema with its references followed."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            found = root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = {**found, **{key: inner for key, inner in schema.items() if key != "$ref"}}
        return {key: resolved(inner, root) for key, inner in schema.items()}
    return schema


def beyond(schema):
    """Values at the limits of a schema, and beyond."""
    for limit in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if limit in schema:
            yield from (schema[limit], schema[limit] - 1, schema[limit] + 1)
    yield from schema.get("enum", [])


def put(entry, path, change):
    """A copy of an entry with one place changed; mappings and lists on the way to it are made."""
    if not path:
        return change(entry)
    key, *rest = path
    if key == 0:
        items = list(entry) if isinstance(entry, list) and entry else [None]
        return [put(items[0], rest, change), *items[1:]]
    made = dict(entry) if isinstance(entry, dict) else {}
    made[key] = put(made.get(key), rest, change)
    return {k: v for k, v in made.items() if v is not GONE}


GONE = object()


def spoilt(entry, schema):
    """(what was done, the entry with it) for every key of a schema and every way to spoil it."""
    for path in paths(schema):
        where = ".".join(map(str, path))
        for value in [*STRANGE, *beyond(at(schema, path))]:
            yield f"{where}: {value!r:.40}", put(entry, path, lambda _, value=value: value)
        if path[-1] != 0:
            yield f"{where}: missing", put(entry, path, lambda _: GONE)
            yield f"{where}: misspelt", put(entry, (*path[:-1], f"{path[-1]}x"), lambda _: 1)
            yield f"{where}: not text", put(entry, (*path[:-1], 7), lambda _: 1)
    for whole in ({}, [], None, "text", 3):
        yield f"whole: {whole!r}", whole


def whole_study():
    """A study that has every key of its schema."""
    figure = STUDY["figures"][0] | {"labels": {"winning": "w"}, "y": [0, 1], "value": "value", "x": "pruned"}
    learning = {"name": "l", "kind": "learning", "curves": ["winning"], "levels": [0, 1]}
    measured = {"name": "a", "analysis": "effective-sparsity", "curves": ["winning"], "levels": [1]}
    measured |= {
        "value": "connected",
        "title": "t",
        "caption": "c",
        "labels": {"winning": "w"},
        "draw": "values",
        "x": "pruned",
    }
    curve = STUDY["curves"][0] | {"source": "tiny", "copy": 0, "label": "w", "ticket": "winning"}
    more = {"evaluate": [1, 2], "keep_weights": False, "include": [], "without": []}
    swept = {"name": "{task}-w", "recipe": "imp", "sweep": {"task": ["tiny"]}}
    more |= {"figures": [figure, learning], "analyses": [measured]}
    return STUDY | more | {"curves": [curve, *STUDY["curves"][1:], swept]}


def models():
    """Every option of every model, as a task's."""
    for name in plugins.names("models"):
        schema = {"type": "object", "properties": plugins.find("models", name).OPTIONS}
        for what, entry in spoilt({}, schema):
            entry = {"name": name, **entry} if isinstance(entry, dict) else entry
            yield f"model {name}: {what}", {"tasks": {"bad": TINY | {"image": [1, 32, 32], "model": entry}}}


def datasets():
    """Every key of the entries of every kind of data, with one set whose sizes are known, and one not."""
    modules = {name: plugins.find("datasets", name) for name in plugins.names("datasets")}
    chosen = {(module.KIND, hasattr(module, "TRAIN")): name for name, module in modules.items()}
    for name in chosen.values():
        kind = data.kind_of({"name": name, "of": name})
        entry = {"of": name, "half": "a"}
        if name == "image-folder":
            entry |= {"shape": [3, 8, 8], "classes": 2, "train": 4, "test": 2}
        if name == "text-files":
            entry |= {"train": 100, "vocabulary": 10}
        for what, bad in spoilt(entry, kind.SCHEMA):
            yield f"data set of {name}: {what}", {"datasets": {"bad": bad}}


def families():
    for name in plugins.names("tasks"):
        family = runs.family(name)
        entry = next(iter(family.SMALLEST.values()))
        for what, bad in spoilt(entry, family.SCHEMA):
            yield f"task of {name}: {what}", {"tasks": {"bad": bad}}
        yield from ((f"sweep of {name}: {what}", {"tasks": {"a{x}": entry}}) for what, entry in sweeps(entry))


def sweeps(entry):
    for value in STRANGE:
        yield f"{value!r:.40}", entry | {"sweep": value}
        yield f"x: {value!r:.40}", entry | {"sweep": {"x": value}}
        yield f"length: {value!r:.40}", entry | {"sweep": {"length": [value]}}


def recipes():
    schema = read_yaml(SCHEMAS / "recipe.schema.yaml")
    for what, bad in spoilt({"scope": "layerwise", "rates": {"another": 0.1}, "rewind": {}}, schema):
        yield f"recipe in use: {what}", {"recipes": {"imp": bad}}


def analyses():
    """Every key of the entry of every analysis, on curves with copies."""
    entry = read_yaml(SCHEMAS / "study.schema.yaml")["properties"]["analyses"]["items"]
    again = [curve | {"name": f"{curve['name']}-1", "copy": 1} for curve in STUDY["curves"]]
    for name in plugins.names("analyses"):
        whole = {"name": "a", "analysis": name, "curves": ["winning-1"], "levels": [1], "title": "t"}
        whole |= {
            "value": next(iter(analysis.analysis(name).VALUES)),
            "draw": "values",
            "labels": {"winning-1": "w"},
        }
        study = STUDY | {"curves": [*STUDY["curves"], *again]}
        for what, bad in spoilt(whole, analysis.schema_of(name, entry)):
            yield f"analysis {name}: {what}", {"study": study | {"analyses": [bad]}}
        yield f"analysis {name}", {"study": study | {"analyses": [whole]}}


def resources():
    schema = read_yaml(SCHEMAS / "resources.schema.yaml")
    whole = {"all": RESOURCES, "families": {}, "tasks": {"*": {"gpu": 0}}}
    for what, bad in spoilt(whole, resolved(schema, schema)):
        yield f"resources: {what}", {"resources": bad}


def studies():
    for what, bad in spoilt(whole_study(), read_yaml(SCHEMAS / "study.schema.yaml")):
        if isinstance(bad, dict):
            yield f"study: {what}", {"study": bad}


# fewer means that a schema is no longer found; docs/configuration.md has the sum
LEAST = {"studies": 1100, "recipes": 450, "resources": 1200, "families": 2900, "models": 250}
LEAST |= {"datasets": 1100, "analyses": 1000}
KINDS = [studies, recipes, resources, families, datasets, models, analyses]


@pytest.fixture(scope="module")
def counts():
    found = Counter()
    yield found
    print(f"\nspoilt configs: {sum(found.values())}, {dict(found)}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_spoilt_config_is_a_plan_or_one_line(tmp_path, kind, counts, monkeypatch):
    importlib.import_module(
        "torch"
    )  # which a recipe's patterns need, and which looks for libraries by a command
    monkeypatch.setattr("subprocess.Popen", None)  # nothing is started
    for module in ("study", "resources"):
        monkeypatch.setattr(f"lottery.{module}.read_yaml", read_once)
    config = Config(tmp_path)
    config.read()
    config.read(whole_study())
    wrong = []
    for what, changed in kind():
        counts[kind.__name__] += 1
        try:
            config.read(**changed)
        except InputError as error:
            if not str(error) or "\n" in str(error):
                wrong.append(f"{what}: message {str(error)!r}")
        except Exception as error:
            wrong.append(f"{what}: {type(error).__name__}: {error}")
    assert not wrong, f"{len(wrong)} of {counts[kind.__name__]}:\n" + "\n".join(wrong[:60])
    assert counts[kind.__name__] > LEAST[kind.__name__] and not list(tmp_path.rglob("results"))


TWICE = ["{entry: {key: 1, key: 2}}", "{a: 1, a: 2}", "{a: {b: [{c: 1, c: 2}]}}"]
TWICE += ["{a: {1: x, 0x1: y}}", "{a: {yes: x, true: y}}", "{a: {1: x, '1': y}}", "{a: {<<: {b: 1, b: 2}}}"]
FILES = ["tasks/all.yaml", "recipes/all.yaml", "datasets/all.yaml", "resources.yaml", "studies/more.yaml"]


@pytest.mark.parametrize("file", FILES)
def test_a_key_given_twice_is_one_line_in_every_file(tmp_path, file):
    """Also where it is written in two ways, or within what another entry takes over."""
    config = Config(tmp_path)
    config.read()
    include = ["more"] if file == "studies/more.yaml" else []
    for text in TWICE:
        (tmp_path / file).write_text(text)
        with pytest.raises(InputError, match=rf"{file}, line 1: '.*' is there twice"):
            read_study(STUDY | {"include": include}, tmp_path)


def test_what_an_anchor_gives_may_be_given_anew(tmp_path):
    (tmp_path / "a.yaml").write_text("_a: &a {x: 1, y: 1}\n_b: &b {<<: *a, y: 2}\nc: {<<: [*b, *a], z: 3}\n")
    assert read_yaml(tmp_path / "a.yaml")["c"] == {"x": 1, "y": 2, "z": 3}
