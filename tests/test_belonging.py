"""Tables refuse files that do not belong together; a made-up study of lineages, tickets and games."""
# ruff: noqa: E501

import json
import time
from pathlib import Path

import pytest
from lottery import addresses, belonging
from lottery.addresses import FILES, file
from lottery.errors import InputError
from lottery.study import (
    Curve,
    of_level,
    of_random,
    of_ticket,
    pruning_of,
    pruning_settings,
    training_settings,
)

RECIPE = {"scope": "global", "criterion": "magnitude", "rate": 0.2, "rates": {}, "iterative": True}
RECIPE |= {"roles": ["weight"], "output": True, "exclude": []}
RECIPES = {
    "imp": {**RECIPE, "rewind": {"weights": "epoch1", "schedule": "start", "optimizer": "fresh"}},
    "once": {**RECIPE, "iterative": False, "rewind": {"weights": "init", "schedule": "start", "optimizer": "fresh"}},
    "on": {**RECIPE, "rewind": {"weights": "final", "schedule": "end", "optimizer": "fresh"}},
    "rewound": {**RECIPE, "rewind": {"weights": "epoch1", "schedule": "epoch1", "optimizer": "rewound"}},
}  # fmt: skip
TASKS = {
    "t": {"name": "t", "lr": 0.1, "dataset": {"name": "d", "of": "digits"}},
    "s": {"name": "s", "lr": 0.1, "dataset": {"name": "d", "of": "digits"}},
    "game": {"name": "game", "lr": 0.1},
}


def curves(levels):
    every, later = tuple(range(levels + 1)), tuple(range(1, levels + 1))
    own = [Curve(f"{t}-{r}", t, t, r, "l", "winning", every) for t in ("t", "game") for r in RECIPES]
    return [
        *own,
        Curve("copy", "t", "t", "imp", "l", "winning", every, copy=1),
        Curve("carried", "t", "s", "imp", "l", "winning", later),
        Curve("control", "t", "t", "imp", "l", "kept-fresh", later),
        Curve("random", "t", "t", "imp", "l", "random", later),
        Curve("whole", "t", "s", "imp", "l", "dense-rewound", (0,)),
        Curve("whole-on", "t", "t", "rewound", "l", "dense-rewound", (0,), copy=1),
    ]


def write(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(content))


def make(levels, seeds):
    """The records of a study as its jobs would write them, in the working directory; what it asks for."""
    asked = {
        "study": "x",
        "seeds": seeds,
        "recipes": RECIPES,
        "tasks": TASKS,
        "ladders": {"l": {"rate": 0.2}},
    }
    asked["curves"] = [vars(curve) for curve in curves(levels)]
    write(addresses.data_record("d"), {"dataset": TASKS["t"]["dataset"], "sha256": "the data"})

    def train(run, settings, **made_from):
        made_from |= {"data": "the data"} if "dataset" in settings["task"] else {}
        made = {"weights": f"{run} weights", "epoch1": f"{run} epoch1"}
        said = {"settings": settings, "made_from": made_from, "made": made, "chance": 0.1}
        write(file(run, "metrics"), said)
        write(file(run, "weights_record"), {"weights_sha256": made["weights"]})

    def sum_of(place):
        run, _, name = place.file.rpartition("/")
        return f"{run} init" if name == FILES["init"] else f"{run} {place.point or 'weights'}"

    for (name, task), seed in [(item, seed) for item in TASKS.items() for seed in seeds]:
        write(addresses.chance(name), {"value": 0.1})
        whole = addresses.dense(name, seed)
        write(file(whole, "init_record"), {"weights_sha256": f"{whole} init"})
        write(file(whole, "optimizer_record"), {"optimizer_sha256": f"{whole} optimizer"})
        for copy in (0, 1):
            run = addresses.dense(name, seed, addresses.copy_of(copy))
            train(run, training_settings(task, seed, 0, "dense", copy), start=f"{whole} init")
        for recipe, entry in RECIPES.items():
            for level in range(1, levels + 1):
                made = addresses.origin(name, recipe, entry, seed, level)
                run = addresses.lineage(name, recipe, seed, level)
                made_from = {"weights": f"{made.trained} weights", "began": sum_of(made.began)}
                made_from |= {"mask": f"{made.before} mask"} if made.before else {}
                said = {
                    "settings": pruning_settings(name, recipe, entry, seed, level),
                    "made_from": made_from,
                }
                write(file(run, "pruning"), {**said, "mask_sha256": f"{run} mask"})
                more = {"optimizer": f"{whole} optimizer"} if recipe == "rewound" else {}
                for copy in (0, 1):
                    settings = training_settings(
                        task, seed, level, "winning", copy, **of_level(recipe, entry)
                    )
                    start = sum_of(made.start)
                    train(run + addresses.copy_of(copy), settings, start=start, mask=f"{run} mask", **more)
    for curve in curves(levels):
        for seed in seeds if not curve.own else []:
            for level in curve.levels:
                if curve.ticket == "random":
                    settings = training_settings(
                        TASKS["t"], seed, level, "random", **of_random({"rate": 0.2})
                    )
                    train(curve.run(seed, level), settings)
                    continue
                more = of_ticket(curve.source, curve.recipe, RECIPES[curve.recipe])
                settings = training_settings(TASKS["t"], seed, level, curve.ticket, curve.copy, **more)
                whole = addresses.dense(curve.source, seed)
                made_from = {"start": f"{whole} epoch1"}
                if level:
                    made_from["mask"] = f"{addresses.lineage(curve.source, 'imp', seed, level)} mask"
                if curve.recipe == "rewound":
                    made_from["optimizer"] = f"{whole} optimizer"
                train(curve.run(seed, level), settings, **made_from)
    return json.loads(json.dumps(asked))


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make(3, [1, 2])


def refused(asked):
    with pytest.raises(InputError) as error:
        belonging.refuse_strays(belonging.strays(asked), Path("stale.txt"), "again: {}".format)
    assert "\n" not in str(error.value)
    return str(error.value)


def change(path, *keys, to="another"):
    content = json.loads(Path(path).read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    write(path, content)


def test_what_belongs_together_is_taken(asked):
    belonging.refuse_strays(belonging.strays(asked), Path("stale.txt"), "again: {}".format)
    assert len(belonging.strays(asked)) == 2 * (2 * (1 + 4 * 3) + (1 + 3) + 3 * 3 + 2)
    assert pruning_of(RECIPES["imp"]) and not Path("stale.txt").exists()


def test_every_run_of_a_changed_task_is_named_with_its_key(asked):
    asked["tasks"]["t"]["lr"] = 0.2
    said = refused(asked)
    assert said.startswith(
        "results/dense/t/seed1/metrics.json: settings.task.lr: found 0.1, the study asks for 0.2;"
    )
    assert f"{2 * (1 + 4 * 3 + 4 + 3 * 3 + 2)} of the study's 82 runs" in said and said.endswith(
        "again: $(cat stale.txt)"
    )
    listed = Path("stale.txt").read_text().split()
    assert len(listed) == 2 * (1 + 4 * 3 + 4 + 3 * 3 + 2) and not [
        path for path in listed if "/game/" in path
    ]


LEVEL = "results/lineage/t/imp/seed1/level02"


@pytest.mark.parametrize(
    ("path", "keys", "said", "again"),
    [
        (f"{LEVEL}/pruning.json", ["mask_sha256"], f"{LEVEL}/metrics.json: made_from.mask: found", None),
        (f"{LEVEL}/pruning.json", ["settings", "pruning", "rate"], f"{LEVEL}/pruning.json: settings.pruning.rate", None),
        (f"{LEVEL}/pruning.json", ["made_from", "mask"], f"{LEVEL}/pruning.json: made_from.mask: found another",
         "results/lineage/t/imp/seed1/level01/pruning.json"),
        (f"{LEVEL}/pruning.json", ["made_from", "weights"], f"{LEVEL}/pruning.json: made_from.weights: found another",
         "results/lineage/t/imp/seed1/level01/metrics.json"),
        (f"{LEVEL}/pruning.json", ["made_from", "began"], f"{LEVEL}/pruning.json: made_from.began: found another",
         "results/dense/t/seed1/metrics.json"),
        (f"{LEVEL}/metrics.json", ["made_from", "start"], f"{LEVEL}/metrics.json: made_from.start: found another",
         "results/dense/t/seed1/metrics.json"),
        (f"{LEVEL}/metrics.json", ["chance"], f"{LEVEL}/metrics.json: chance", "results/chance/t.json"),
        ("results/dense/t/seed1/init.json", ["weights_sha256"], "results/dense/t/seed1/metrics.json: made_from.start",
         None),
        ("results/dense/t/seed1/metrics.json", ["made", "epoch1"], "made_from.", None),
        ("results/dense/t/seed1/optimizer.json", ["optimizer_sha256"], "made_from.optimizer", None),
        ("results/data/d.json", ["sha256"], "results/dense/t/seed1/metrics.json: made_from.data: found the data", None),
        ("results/data/d.json", ["dataset", "of"], 'results/data/d.json: dataset.of: found "another"', None),
        ("results/dense/s/seed2/metrics.json", ["settings", "seed"], "settings.seed", None),  # a source's alone
        ("results/lineage/s/imp/seed2/level03/pruning.json", ["mask_sha256"], "results/ticket/t/s/imp/winning", None),
        ("results/ticket/t/s/imp/dense-rewound/seed1/level00/metrics.json", ["made_from", "start"],
         "level00/metrics.json: made_from.start: found another", "results/dense/s/seed1/metrics.json"),
        ("results/ticket/t/t/rewound/dense-rewound/seed2/level00/copy1/metrics.json", ["made_from", "optimizer"],
         "made_from.optimizer: found another", "results/dense/t/seed2/optimizer.json"),
        ("results/lineage/t/imp/seed1/level01/copy1/metrics.json", ["settings", "copy"], "settings.copy", None),
        ("results/lineage/t/on/seed1/level01/weights.json", ["weights_sha256"], "weights_sha256: found another",
         "results/lineage/t/on/seed1/level01/metrics.json"),
        ("results/lineage/game/on/seed1/level02/metrics.json", ["made", "weights"], "made_from.weights", None),
    ],
)  # fmt: skip
def test_a_foreign_file_is_named_with_the_file_to_make_again(asked, path, keys, said, again):
    change(path, *keys)
    found = refused(asked)
    assert said in found
    listed = Path("stale.txt").read_text().split() if Path("stale.txt").exists() else [found.split()[-1]]
    assert listed == [again or path]


def test_a_file_that_is_missing_or_says_nothing_is_named(asked):
    path = Path("results/random/t/l/seed1/level01/metrics.json")
    change(path, "made_from", to={})
    assert f"{path}: made_from.data: found nothing" in refused(asked)
    path.write_text("{")
    assert f"{path}: is damaged" in refused(asked)
    path.unlink()
    assert f"{path}: is missing" in refused(asked)


def test_ten_thousand_runs_are_looked_at_in_seconds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = make(20, list(range(1, 45)))
    began = time.monotonic()
    found = belonging.strays(asked)
    seconds = time.monotonic() - began
    print(f"{len(found)} runs: {seconds:.1f} s")
    assert len(found) > 10_000 and not any(found.values()) and seconds < 60
