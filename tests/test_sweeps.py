"""Entries that differ in a few keys are written once: each choice of values is a task or a curve."""

import copy

import pytest
import yaml
from conftest import DATASETS, REPO, STUDY, TINY
from lottery import planning
from lottery.config import read_tasks
from lottery.errors import InputError
from lottery.study import read_study


@pytest.fixture
def folder(tmp_path):
    """A config folder that has tasks and recipes of its own."""
    for name in ("tasks", "recipes", "studies"):
        (tmp_path / name).mkdir()
    for name in ("schemas", "resources.yaml", "datasets"):
        (tmp_path / name).symlink_to(REPO / "config" / name)
    (tmp_path / "recipes/r.yaml").write_text(yaml.safe_dump({"imp": {}, "no-output": {"output": False}}))
    write(tmp_path, {"tiny": TINY, "tiny-b": TINY | {"dataset": "digits-b"}})
    return tmp_path


def write(folder, tasks, file="t"):
    (folder / f"tasks/{file}.yaml").write_text(yaml.safe_dump(tasks, sort_keys=False))


def swept(sweep, **changes):
    return TINY | {"sweep": sweep} | changes


def tasks(folder, entries):
    write(folder, entries)
    return read_tasks(folder / "tasks", DATASETS)


def study(folder, *curves, figure=None, **more):
    figure = figure or ["winning"]
    figures = [{"name": "main", "kind": "metric", "curves": figure}]
    return read_study(copy.deepcopy(STUDY | {"curves": list(curves), "figures": figures} | more), folder)


def refusal(read, *arguments, **more):
    """The one line with which a config is refused."""
    with pytest.raises(InputError) as error:
        read(*arguments, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_sweep_of_tasks_is_the_product_of_its_lists(folder):
    """The first key changes slowest; a key inside another leaves its neighbours alone."""
    sweep = {"optimizer.lr": [1.2e-3, 3.0e-4], "batch_size": [60, 120]}
    found = tasks(folder, {"d-lr{optimizer.lr}-b{batch_size}": swept(sweep)})
    chosen = [(0.0012, 60), (0.0012, 120), (0.0003, 60), (0.0003, 120)]
    written = {
        f"d-lr{lr}-b{size}": TINY | {"optimizer": {"name": "adam", "lr": lr}, "batch_size": size}
        for lr, size in chosen
    }
    assert list(found) == ["d-lr0.0012-b60", "d-lr0.0012-b120", "d-lr0.0003-b60", "d-lr0.0003-b120"]
    assert found == tasks(folder, written)


def test_a_sweep_stands_in_its_place_and_gives_required_keys(folder):
    entry = {key: value for key, value in TINY.items() if key != "dataset"}
    sweep = {"dataset": ["digits-b", "digits"]}
    found = tasks(folder, {"first": TINY, "{dataset}-x": entry | {"sweep": sweep}, "last": TINY})
    assert list(found) == ["first", "digits-b-x", "digits-x", "last"]
    assert [task["dataset"]["name"] for task in found.values()] == ["digits", "digits-b", "digits", "digits"]


def test_a_mapping_that_is_not_there_is_made(folder):
    found = tasks(folder, {"w{schedule.warmup}": swept({"schedule.warmup": [0, 7]})})
    assert [task["schedule"]["warmup"] for task in found.values()] == [0, 7]


def test_entries_that_share_an_anchor_stay_apart(folder):
    """YAML makes one object of an anchor and its aliases; two files may have the same template."""
    text = """
_base: &base {family: supervised, dataset: digits, model: {name: lenet-300-100}, batch_size: 60,
  length: epoch2, optimizer: &adam {name: adam, lr: 1.0e-3}, sweep: {nothing: []}}
"{optimizer.lr}": {<<: *base, sweep: {optimizer.lr: [0.1, 0.2]}}
"plain-{batch_size}": {<<: *base, optimizer: *adam, sweep: {batch_size: [30]}}
"""
    (folder / "tasks/t.yaml").write_text(text)
    write(folder, {"{optimizer.lr}": swept({"optimizer.lr": [0.4]})}, file="u")
    found = read_tasks(folder / "tasks", DATASETS)
    rates = {name: task["optimizer"]["lr"] for name, task in found.items()}
    assert rates == {"0.1": 0.1, "0.2": 0.2, "plain-30": 1.0e-3, "0.4": 0.4}


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("optimizer.lr", 1.2e-3, "0.0012"),
        ("optimizer.lr", 3.0e-4, "0.0003"),
        ("optimizer.lr", 1.0e-8, "0.00000001"),
        ("optimizer.lr", 0.1, "0.1"),
        ("optimizer.lr", 100.0, "100"),
        ("optimizer.lr", 100, "100"),
        ("compile", True, "true"),
        ("compile", False, "false"),
        ("length", "epoch3", "epoch3"),
        ("image", None, "null"),
        ("image", [1, 16, 16], "1-16-16"),
        ("optimizer.betas", [0.9, 0.99], "0.9-0.99"),
        ("augment", ["crop", "flip"], "crop-flip"),
        ("augment", [], "none"),
    ],
)
def test_a_value_in_a_name(folder, key, value, written):
    assert list(tasks(folder, {f"x-{{{key}}}-{{{key}}}": swept({key: [value]})})) == [
        f"x-{written}-{written}"
    ]


ENTRIES = [
    (
        {"a": swept(["dataset"])},
        "t.yaml: a: sweep: found ['dataset'], allowed: a mapping of keys to lists of values",
    ),
    ({"a": swept(None)}, "t.yaml: a: sweep: found None, allowed: a mapping of keys to lists of values"),
    ({"a": swept({})}, "t.yaml: a: sweep: found {}, allowed: a mapping of keys to lists of values"),
    (
        {"{dataset}": swept({"dataset": []})},
        "t.yaml: {dataset}: sweep: dataset: found [], allowed: a list of one value or more",
    ),
    (
        {"{dataset}": swept({"dataset": "digits"})},
        "t.yaml: {dataset}: sweep: dataset: found 'digits', allowed: a list of one value or more",
    ),
    (
        {"{batch_size}": swept({"batch_size": [60, 30, 60]})},
        "t.yaml: {batch_size}: sweep: batch_size: found 60 twice, allowed: each value once",
    ),
    (
        {"{optimizer.lr}": swept({"optimizer.lr": [1, 1.0]})},
        "t.yaml: {optimizer.lr}: sweep: optimizer.lr: found 1 twice, allowed: each value once",
    ),
    (
        {"{dataset}": swept({"dataset": ["digits"], "batch_size": [30, 60]})},
        "t.yaml: {dataset}: sweep: batch_size: is not in the name, allowed: a name with {batch_size}",
    ),
    (
        {"{dataset}-{lr}": swept({"dataset": ["digits"], "batch_size": [60]})},
        "t.yaml: {dataset}-{lr}: name: found {lr}, which is not swept, allowed: {dataset}, {batch_size}",
    ),
    (
        {"{dataset}": TINY},
        "t.yaml: {dataset}: name: found {dataset}, which is not swept, allowed: braces around a key",
    ),
    (
        {"{dataset}-{": swept({"dataset": ["digits"]})},
        "t.yaml: {dataset}-{: name: found {, which is not swept, allowed: {dataset}",
    ),
    (
        {"{dataset}": swept({"dataset": ["{digits}"]})},
        "t.yaml: {dataset}: name: found {digits}, which is not swept, allowed: braces around",
    ),
    (
        {"{dataset.of}": swept({"dataset.of": ["digits"]})},
        "t.yaml: {dataset.of}: sweep: dataset.of: dataset: found 'digits', allowed: a mapping",
    ),
    (
        {"{model}": swept({"model": [{"name": "lenet-300-100"}]})},
        "t.yaml: {model}: sweep: model: found {'name': 'lenet-300-100'}, allowed: a number, text, true",
    ),
    (
        {"{augment}": swept({"augment": [[["crop"]]]})},
        "t.yaml: {augment}: sweep: augment: found [['crop']], allowed: a number, text, true, false or a list",
    ),
    ({"digits": TINY, "{dataset}": swept({"dataset": ["digits"]})}, "'digits' is defined in "),
    (
        {"{batch_size}{validation}": swept({"batch_size": [3, 31], "validation": [11, 1]})},
        "t.yaml: '311' is defined in ",
    ),
    (
        {"{dataset}": swept({"dataset": ["a b"]})},
        "t.yaml: a b: name: found 'a b', allowed: letters, digits, '.', '_' and '-', beginning with",
    ),
    ({"x-{datset}": swept({"datset": ["digits"]})}, "t.yaml: x-digits: unknown key 'datset'; did you mean"),
    (
        {"x-{optimizer.rl}": swept({"optimizer.rl": [0.1]})},
        "t.yaml: x-0.1: unknown key 'optimizer.rl'; allowed: name, lr",
    ),
    (
        {"x-{optimizer.lr}": swept({"optimizer.lr": [0.1, "1e-3"]})},
        "t.yaml: x-1e-3: optimizer.lr: found '1e-3', allowed: a number above 0 (YAML",
    ),
    ({"x-{batch_size}": swept({"batch_size": [60, 2000]})}, "t.yaml: x-2000: batch_size: 2000 is more than"),
]


@pytest.mark.parametrize(("entries", "message"), ENTRIES, ids=[message for _, message in ENTRIES])
def test_a_sweep_of_tasks_is_refused(folder, entries, message):
    assert message in refusal(tasks, folder, entries)


def test_a_name_of_another_file_is_refused(folder):
    write(folder, {"{dataset}-x": swept({"dataset": ["digits"]})}, file="u")
    message = refusal(tasks, folder, {"digits-x": TINY})
    assert message.endswith(f"u.yaml: 'digits-x' is defined in {folder / 'tasks/t.yaml'} already")


CURVES = [  # swept ones, and the same written out
    {"name": "first", "task": "tiny", "recipe": "imp"},
    {
        "name": "{task}-{ticket}",
        "label": "{ticket}, of {task}",
        "recipe": "imp",
        "sweep": {"task": ["tiny", "tiny-b"], "ticket": ["winning", "random"]},
    },
    {"name": "copy{copy}", "task": "tiny", "recipe": "imp", "sweep": {"copy": [1, 2]}},
]
WRITTEN = [
    {"name": "first", "task": "tiny", "recipe": "imp"},
    {"name": "tiny-winning", "label": "winning, of tiny", "task": "tiny", "recipe": "imp"},
    {
        "name": "tiny-random",
        "label": "random, of tiny",
        "task": "tiny",
        "recipe": "imp",
        "ticket": "random",
    },
    {"name": "tiny-b-winning", "label": "winning, of tiny-b", "task": "tiny-b", "recipe": "imp"},
    {
        "name": "tiny-b-random",
        "label": "random, of tiny-b",
        "task": "tiny-b",
        "recipe": "imp",
        "ticket": "random",
    },
    {"name": "copy1", "task": "tiny", "recipe": "imp", "copy": 1},
    {"name": "copy2", "task": "tiny", "recipe": "imp", "copy": 2},
]


def test_swept_curves_are_those_written_out(folder):
    """The same study in the same order, with the same trainings; figures name the curves of a sweep."""
    figure = ["tiny-b-winning", "copy2"]
    short, long = study(folder, *CURVES, figure=figure), study(folder, *WRITTEN, figure=figure)
    assert list(short.curves) == [curve["name"] for curve in WRITTEN]
    assert short == long
    assert short.asked() == long.asked() and short.legend("main") == long.legend("main")
    assert planning.trainings(short) == planning.trainings(long)


def test_included_curves_may_be_swept(folder):
    """A study may write out what the one it includes sweeps."""
    one = STUDY | {"study": "one", "curves": CURVES, "figures": []}
    (folder / "studies/one.yaml").write_text(yaml.safe_dump(one))
    assert study(folder, *WRITTEN, figure=["first"]) == study(
        folder, WRITTEN[0], figure=["first"], include=["one"]
    )


def test_snakemake_plans_a_swept_study(workspace):
    """As it plans the one written out, from its own reading of the YAML."""
    workspace.tasks = {
        "tiny": TINY,
        "tiny-{optimizer.lr}": swept({"optimizer.lr": [1.0e-3, 1.0e-2]}),
    }
    workspace.study["curves"] += [
        {"name": "{task}-w", "recipe": "imp", "sweep": {"task": ["tiny-0.001", "tiny-0.01"]}}
    ]
    short = workspace.planned_runs()
    workspace.tasks = {
        "tiny": TINY,
        **{f"tiny-{lr}": TINY | {"optimizer": {"name": "adam", "lr": lr}} for lr in (0.001, 0.01)},
    }
    workspace.study["curves"][2:] = [
        {"name": f"{task}-w", "task": task, "recipe": "imp"} for task in ("tiny-0.001", "tiny-0.01")
    ]
    assert short == workspace.planned_runs()
    assert "results/lineage/tiny-0.01/imp/seed2/level02/metrics.json" in short


def curve(name="{task}-w", sweep=("tiny",), **changes):
    sweep = {"task": list(sweep)} if isinstance(sweep, tuple) else sweep
    return {"name": name, "recipe": "imp", "sweep": sweep} | changes


REFUSED = [
    ([curve(sweep=[])], "study tiny: curve {task}-w: sweep: found [], allowed: a mapping of keys to lists"),
    (
        [curve(sweep={"task": "tiny"})],
        "curve {task}-w: sweep: task: found 'tiny', allowed: a list of one value",
    ),
    (
        [curve(sweep=("tiny", "tiny"))],
        "curve {task}-w: sweep: task: found tiny twice, allowed: each value once",
    ),
    ([curve("w")], "study tiny: curve w: sweep: task: is not in the name, allowed: a name with {task}"),
    ([curve("{task}-{x}")], "curve {task}-{x}: name: found {x}, which is not swept, allowed: {task}"),
    ([curve(label="{x}")], "curve {task}-w: label: found {x}, which is not swept, allowed: {task}"),
    (
        [{"name": "{task}-w", "task": "tiny", "recipe": "imp"}],
        "curve {task}-w: name: found {task}, which is not swept, allowed: braces around a key of a sweep",
    ),
    (
        [curve(sweep={"task.of": ["tiny"]}, name="{task.of}", task="tiny")],
        "curve {task.of}: sweep: task.of: task: found 'tiny', allowed: a mapping",
    ),
    ([curve(sweep=({"a": 1},))], "curve {task}-w: sweep: task: found {'a': 1}, allowed: a number, text"),
    ([curve(), curve("tiny-w", None, task="tiny")], "study tiny: curve tiny-w: sweep: found None, allowed"),
    ([curve(), curve("{task}-w", ("tiny",))], "study tiny: curves: the name 'tiny-w' is there twice"),
    ([curve(sweep=("tiny", "tinny"))], "study tiny: curve tinny-w: task 'tinny' is unknown; did you mean"),
    (
        [curve("{tsk}-w", {"tsk": ["tiny"]}, task="tiny")],
        "study tiny: curve tiny-w: unknown key 'tsk'; did you mean 'task'?",
    ),
    (
        [curve("{ticket}-w", {"ticket": ["winning", "loosing"]}, task="tiny")],
        "study tiny: curve loosing-w: ticket: found 'loosing', allowed: winning, random",
    ),
    (
        [curve("{ticket}-w", {"ticket": ["winning"]})],
        "study tiny: curve winning-w: 'task' is a required property",
    ),
    ([curve("W-{task}")], "study tiny: curve W-tiny: name: found 'W-tiny', allowed: small letters, digits, "),
    ([curve(rewind=1)], "study tiny: unknown key 'curves.0.rewind'; allowed: name, label, task"),
    (
        [{"name": "W", "task": "tiny", "recipe": "imp"}],
        "curves.0.name: found 'W', allowed: small letters, digits, ",
    ),
    ([{"name": "w", "recipe": "imp"}], "study tiny: curves.0: 'task' is a required property"),
]


@pytest.mark.parametrize(("curves", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_sweep_of_curves_is_refused(folder, curves, message):
    assert message in refusal(study, folder, *curves)
