"""Snakemake itself: what is shared, what runs again, what a kill leaves, what bad input does."""

import copy
import itertools
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from conftest import Workspace, contents
from lottery import masks, weights
from lottery.lineage import Lineage, find_tickets

ALL = {"tables": 1, "figure": 1}
CHANCE = 36 / 360  # of the test digits are of the class that is most frequent in training
LEVEL_2 = "results/lineage/tiny/imp/seed1/level02"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The tiny study, run once."""
    workspace = Workspace(tmp_path_factory.mktemp("done") / "workspace")
    workspace.write()
    workspace.snakemake()
    return workspace


@pytest.fixture
def finished(done, tmp_path):
    """A copy of the tiny study after its run, to change."""
    workspace = Workspace(tmp_path / "workspace")
    for name in ("results", ".snakemake"):
        shutil.copytree(done.path / name, workspace.path / name, dirs_exist_ok=True)
    return workspace


# --- what is shared


def test_sources_recipes_and_targets_share_their_runs(workspace):
    """Two sources, two recipes and two targets: the addresses of the design, counted."""
    tasks, recipes = ("tiny", "tiny-b"), ("a", "b")
    rewinds = {"a": {"weights": "epoch1"}, "b": {"weights": "init"}}
    entries = {name: {"output": False, "rewind": rewinds[name]} for name in recipes}
    (workspace.path / "config/recipes/two.yaml").write_text(yaml.safe_dump(entries))
    curves = [
        {"task": target, "source": source, "recipe": recipe, "ticket": ticket}
        for target in tasks
        for source in tasks
        for recipe in recipes
        for ticket in ("winning", "random", "kept-fresh")
    ]
    for number, curve in enumerate(curves):
        curve["name"] = f"c{number}"
    seeds, levels = 3, 4
    workspace.study |= {"seeds": [1, 2, 3], "levels": levels, "curves": curves, "figures": []}
    lineages = 2 * 2 * seeds
    assert workspace.planned() == {
        "prepare_data": 2,
        "chance": 2,
        "initialise": 2 * seeds,
        "train_dense": 2 * seeds,  # one dense run serves both recipes
        "prune": lineages * (levels + 1),
        "train_level": lineages * levels,  # a lineage serves both targets
        "train_ticket": (2 * 2 + 2 * 2 * 2) * seeds * levels,  # 4 transfers, 8 kept masks
        "train_random": 2 * seeds * levels,  # one for each target, whatever source and recipe
        "tables": 1,
    }


def test_only_levels_that_are_evaluated_are_trained_beside_a_lineage(workspace):
    workspace.study |= {"levels": 6, "evaluate": [1, 3, 6]}
    planned = workspace.planned()
    assert planned["train_level"] == 2 * 6 and planned["train_random"] == 2 * 3


# --- what runs again


def test_nothing_changed_nothing_runs(finished):
    assert finished.planned() == {}


def test_one_more_level_runs_that_level_only(finished):
    finished.study["levels"] = 3
    assert finished.planned() == {"prune": 2, "train_level": 2, "train_random": 2, **ALL}
    runs = finished.planned_runs()
    assert "results/lineage/tiny/imp/seed1/level03/metrics.json" in runs
    assert "results/lineage/tiny/imp/seed1/level02/weights.safetensors" not in runs
    before = contents(finished.path / "results/lineage")
    finished.snakemake()
    after = contents(finished.path / "results/lineage")
    assert all(after[name] == content for name, content in before.items())
    assert finished.planned() == {}


def test_one_more_seed_runs_that_seed_only(finished):
    finished.study["seeds"] = [1, 2, 5]
    lineage = {"prune": 3, "train_level": 2, "train_random": 2}
    assert finished.planned() == {"initialise": 1, "train_dense": 1, **lineage, **ALL}
    assert not [name for name in finished.planned_runs() if "seed1" in name or "seed2" in name]


def test_a_task_s_learning_rate_runs_that_task_only(finished):
    finished.study["curves"].append({"name": "b", "task": "tiny-b", "recipe": "imp"})
    finished.write()
    finished.snakemake()
    finished.tasks["tiny-b"]["optimizer"] = {"name": "adam", "lr": 2.0e-3}
    b = {"chance": 1, "initialise": 2, "train_dense": 2, "prune": 6, "train_level": 4}
    assert finished.planned() == {**b, **ALL}
    assert not [name for name in finished.planned_runs() if "/tiny/seed" in name or "/tiny/imp" in name]


def test_a_figure_s_title_draws_that_figure_only(finished):
    finished.study["figures"].append({"name": "other", "kind": "layers", "curves": ["winning"]})
    finished.write()
    finished.snakemake()
    finished.study["figures"][0]["title"] = "another title"
    assert finished.planned() == {"figure": 1}
    finished.study["figures"][0]["title"] = "a title"
    finished.study["curves"][0]["label"] = "winning ticket"
    assert finished.planned() == {"figure": 2}


def test_a_recipe_s_rewind_runs_its_lineages_but_no_dense_run(finished):
    path = finished.path / "config/recipes/magnitude.yaml"
    path.write_text(path.read_text().replace("imp:\n", "imp:\n  rewind: {weights: init}\n", 1))
    planned = finished.planned()
    assert "train_dense" not in planned and "train_random" not in planned
    assert planned["train_level"] == 4


def test_touched_files_of_the_same_content_run_nothing(finished):
    """Any file, of any size: results, config, scripts, the library."""
    for path in [path for name in ("results", "config", "workflow_scripts", "rules") for path in
                 (finished.path / name).rglob("*")]:  # fmt: skip
        os.utime(path)
    assert finished.planned() == {}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("train_level.py", '"""Rule', '"""A rule'),
        ("lottery/tasks/supervised/loop.py", '"""Train one network', '"""Do train one network'),
        ("lottery/pruning.py", "def prune(", "# a comment\ndef prune("),
        ("lottery/figures.py", '"""What one figure', '# a comment\n    """From what one figure'),
    ],
)
def test_a_comment_or_docstring_runs_nothing(finished, file, old, new):
    path = finished.path / "workflow_scripts" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert finished.planned() == {}


def test_changed_drawing_code_draws_again_and_trains_nothing(finished):
    path = finished.path / "workflow_scripts/lottery/figures.py"
    path.write_text(path.read_text().replace('"font.size": 8', '"font.size": 9'))
    assert finished.planned() == {"figure": 1}


def test_a_raised_results_version_runs_everything(finished):
    path = finished.path / "workflow_scripts/lottery/__init__.py"
    path.write_text(path.read_text().replace("RESULTS_VERSION = 2", "RESULTS_VERSION = 3"))
    planned = finished.planned()
    trained = {"train_dense": 2, "train_level": 4, "train_random": 4}
    assert planned == {"prepare_data": 1, "chance": 1, "initialise": 2, "prune": 6, **trained, **ALL}


def test_another_study_takes_up_the_runs_there_are(finished):
    other = finished.study | {"study": "other", "seeds": [2], "levels": 1}
    (finished.path / "config/studies/other.yaml").write_text(yaml.safe_dump(other))
    assert finished.planned("--configfile", "config/studies/other.yaml") == ALL


def test_weights_are_kept_when_the_study_says_so(finished):
    before = contents(finished.path / "results")
    finished.study["keep_weights"] = True
    assert finished.planned() == {"keep_weights": 4}  # they are gone, so they are trained again, and no more
    finished.snakemake()
    assert len(list((finished.path / "results/lineage/tiny/imp").rglob("weights.safetensors"))) == 4
    after = contents(finished.path / "results")
    assert all(after[name] == content for name, content in before.items())
    assert finished.planned() == {}


def test_kept_weights_are_the_same_whether_just_trained_or_trained_again(tmp_path, finished):
    workspace = Workspace(tmp_path / "kept")
    workspace.study |= {"keep_weights": True, "seeds": [1]}
    workspace.write()
    workspace.snakemake()
    assert "step" not in log_of(workspace, "level02/weights")  # nothing was trained for it
    finished.write()
    finished.snakemake("--", f"{LEVEL_2}/weights.safetensors")
    assert "step 44/44" in log_of(finished, "level02/weights")
    kept = [(one.path / LEVEL_2 / "weights.safetensors").read_bytes() for one in (workspace, finished)]
    assert kept[0] == kept[1]
    assert finished.planned() == workspace.planned() == {}


def log_of(workspace, name):
    return (workspace.path / f"results/logs/lineage/tiny/imp/seed1/{name}.log").read_text()


def test_weights_that_come_out_otherwise_are_not_kept(finished):
    """As on another kind of machine: they are checked against the run's own numbers."""
    path = finished.path / LEVEL_2 / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["metrics"]["train_loss"] += 1e-3
    path.write_text(json.dumps(metrics))
    finished.write()
    assert finished.snakemake("--", f"{LEVEL_2}/weights.safetensors", check=False).returncode == 1
    assert "trained again, train_loss is" in log_of(finished, "level02/weights")
    assert not path.with_name("weights.safetensors").exists()


def test_the_optimizer_is_kept_where_a_recipe_reads_it(finished):
    """The dense run is trained again for it, and nothing else that was there."""
    rewind = {"weights": "epoch1", "schedule": "epoch1", "optimizer": "rewound"}
    (finished.path / "config/recipes/mine.yaml").write_text(yaml.safe_dump({"mine": {"rewind": rewind}}))
    finished.study["curves"].append({"name": "mine", "task": "tiny", "recipe": "mine"})
    assert finished.planned() == {"keep_optimizer": 2, "prune": 6, "train_level": 4, **ALL}
    assert not list((finished.path / "results").rglob("*optimizer*.safetensors"))
    finished.snakemake()
    arrays, _ = weights.load_arrays(finished.path / "results/dense/tiny/seed1/optimizer.safetensors")
    assert {name.partition("/")[0] for name in arrays} == {"epoch1"}
    assert "epoch1/fc1.weight:exp_avg" in arrays
    assert finished.planned() == {}


def test_a_change_that_was_interrupted_is_carried_through(finished):
    """Wherever a run was stopped that follows a change of config, the next one does what is left."""
    rewind = {"weights": "final", "schedule": "epoch1"}, {"weights": "epoch1", "optimizer": "rewound"}
    recipes = {name: {"rewind": one} for name, one in zip(("on", "rewound"), rewind, strict=True)}
    (finished.path / "config/recipes/mine.yaml").write_text(yaml.safe_dump(recipes))
    finished.study["curves"] += [{"name": name, "task": "tiny", "recipe": name} for name in recipes]
    finished.study |= {"seeds": [1], "levels": 3}
    finished.write()
    finished.snakemake()
    finished.tasks["tiny"]["optimizer"] = {"name": "adam", "lr": 2.0e-3}
    lineage = "results/lineage/tiny"
    for stop in (
        "results/dense/tiny/seed1/metrics.json",
        f"{lineage}/on/seed1/level02/metrics.json",
        f"{lineage}/on/seed1/level03/pruning.json",
        f"{lineage}/rewound/seed1/level01/metrics.json",
    ):
        finished.write()
        finished.snakemake("--", stop)
    left = finished.planned_runs()
    assert (
        f"{lineage}/on/seed1/level03/metrics.json" in left and f"{lineage}/imp/seed1/level01/mask.npz" in left
    )
    finished.snakemake()
    metrics = list((finished.path / "results").rglob("metrics.json"))
    settings = [json.loads(path.read_text())["settings"] for path in metrics if "seed2" not in str(path)]
    assert len(settings) == 1 + 3 * 3 + 3 and {one["task"]["optimizer"]["lr"] for one in settings} == {2.0e-3}
    assert finished.planned() == {}


def test_a_copy_is_another_training_of_the_same_start(finished):
    finished.study["curves"] += [
        {"name": "again", "task": "tiny", "recipe": "imp", "copy": 1},
        {"name": "random-again", "task": "tiny", "recipe": "imp", "ticket": "random", "copy": 2},
    ]
    assert finished.planned() == {"train_dense": 2, "train_level": 4, "train_random": 4, **ALL}
    finished.snakemake()
    for run in ("results/dense/tiny/seed1", LEVEL_2):
        first, second = finished.path / run, finished.path / run / "copy1"
        a, b = (json.loads((path / "metrics.json").read_text()) for path in (first, second))
        assert b["settings"].pop("copy") == 1 and a["settings"] == b["settings"]
        assert a["layers"] == b["layers"] and a["metrics"] != b["metrics"]
        step_0 = [(path / "curve.csv").read_text().splitlines()[1] for path in (first, second)]
        assert step_0[0] == step_0[1]  # the same weights
    assert finished.planned() == {}


def test_the_dense_network_rewound_is_trained_on_as_a_ticket_without_a_mask(finished):
    """Once a seed, whatever the levels; all of it rewound, it goes the dense run's way again."""
    again = {"weights": "epoch1", "schedule": "epoch1", "optimizer": "rewound"}
    (finished.path / "config/recipes/mine.yaml").write_text(yaml.safe_dump({"again": {"rewind": again}}))
    said = {"task": "tiny", "ticket": "dense-rewound"}
    finished.study["curves"] += [
        {**said, "name": "rewound", "recipe": "imp"},
        {**said, "name": "copied", "recipe": "imp", "copy": 1},
        {**said, "name": "again", "recipe": "again"},
        {**said, "name": "carried", "source": "tiny-b", "recipe": "imp"},
    ]
    names = [curve["name"] for curve in finished.study["curves"]]
    learning = {"name": "learning", "kind": "learning", "curves": names, "levels": [0]}
    finished.study["figures"] = [{"name": "main", "kind": "metric", "curves": names}, learning]
    planned = finished.planned()
    assert {rule: number for rule, number in planned.items() if rule.startswith("train_")} == {
        "train_ticket": 8,
        "train_dense": 2,  # of tiny-b
    }
    assert "prune" not in planned
    finished.snakemake()
    assert finished.planned() == {}

    def read(run):
        return json.loads((finished.path / f"results/{run}/metrics.json").read_text())

    dense, tickets = read("dense/tiny/seed1"), "ticket/tiny/tiny/{}/dense-rewound/seed1/level00{}"
    rewound, copied, same = (
        read(tickets.format(*which)) for which in (("imp", ""), ("imp", "/copy1"), ("again", ""))
    )
    assert rewound["made_from"]["start"] == copied["made_from"]["start"] == dense["made"]["epoch1"]
    assert len({json.dumps(run["metrics"]) for run in (dense, rewound, copied)}) == 3
    counted = {"steps": 0, "early_stop_step": 0}  # from where a training starts
    assert same["metrics"] | counted == dense["metrics"] | counted
    carried = read("ticket/tiny/tiny-b/imp/dense-rewound/seed1/level00")
    assert carried["made_from"]["start"] == read("dense/tiny-b/seed1")["made"]["epoch1"]
    tables = finished.path / "results/tables/tiny"
    rows = pd.read_csv(tables / "summary.csv").set_index("curve").loc[names[2:]]
    assert (rows["level"] == 0).all() and (rows["n"] == 2).all() and rows["difference"].isna().all()
    assert (rows["kept"] == rows["prunable"]).all() and (rows["fraction_pruned"] == 0).all()
    assert (rows["prunable"] == 64 * 300 + 300 * 100 + 100 * 10).all()


# --- what is made


def test_the_loop_in_one_process_makes_the_same_files(done, recipes, tasks, tiny, tmp_path):
    """A forked and a plain process give the same bits."""
    (tmp_path / "results/data").mkdir(parents=True)
    for name in ("digits.safetensors", "digits.json"):
        shutil.copy(done.path / "results/data" / name, tmp_path / "results/data" / name)
    find_tickets(Lineage(tmp_path, tiny(), "imp", recipes["imp"], seed=1), levels=2)
    made = contents(tmp_path / "results/lineage/tiny/imp/seed1")
    asked = contents(done.path / "results/lineage/tiny/imp/seed1")
    shared = made.keys() & asked.keys()
    assert {f"level0{level}/{name}" for level in (1, 2) for name in ("mask.npz", "metrics.json")} <= shared
    assert all(made[name] == asked[name] for name in shared)
    dense = "results/dense/tiny/seed1"
    assert contents(tmp_path / dense) == contents(done.path / dense)


def test_a_run_keeps_masks_and_numbers_and_no_weights(done):
    files = contents(done.path / "results/lineage/tiny/imp/seed1")
    assert sorted(files) == [
        *(
            f"level0{k}/{n}"
            for k in (1, 2)
            for n in ("curve.csv", "mask.npz", "metrics.json", "pruning.json")
        ),
        "level03/mask.npz",
        "level03/pruning.json",
    ]
    assert not list((done.path / "results").rglob("*.part")) + list(
        (done.path / "results").rglob("checkpoint*")
    )
    metrics = json.loads((done.path / LEVEL_2 / "metrics.json").read_text())
    assert not set(metrics) & {"provenance", "seconds", "host", "versions", "commit"}
    assert metrics["kept"] == round(50_200 * 0.8**2) and metrics["prunable"] == 50_200
    assert metrics["fraction_pruned_of_all"] < metrics["fraction_pruned"] == pytest.approx(0.36)
    provenance = json.loads((done.path / LEVEL_2 / "provenance.json").read_text())
    assert set(provenance) == {
        "seconds",
        "peak_memory_bytes",
        "host",
        "device",
        "versions",
        "starts",
    }


def test_masks_of_a_lineage_are_nested_and_one_shot_masks_too(finished):
    finished.study["curves"].append({"name": "oneshot", "task": "tiny", "recipe": "oneshot"})
    finished.write()
    finished.snakemake()
    for recipe, last in (("imp", 3), ("oneshot", 2)):
        folder = finished.path / f"results/lineage/tiny/{recipe}/seed1"
        found = [masks.load(folder / f"level0{level}/mask.npz")[0] for level in range(1, last + 1)]
        for level, (larger, smaller) in enumerate(itertools.pairwise(found), 2):
            assert masks.kept(smaller) == round(50_200 * 0.8**level)
            assert all(not np.any(smaller[name] & ~larger[name]) for name in smaller)


def test_all_ticket_kinds_and_rewinds_end_in_a_table_and_a_report(finished):
    """The six kinds, layerwise scope, learning-rate rewinding, fine-tuning, a transfer, every figure."""
    kinds = ("winning", "random", "kept-fresh", "layer-rewound", "layer-fresh", "global-rewound")
    curves = [{"name": kind, "task": "tiny", "recipe": "imp", "ticket": kind} for kind in kinds]
    recipes = ("layerwise", "lr-rewinding", "fine-tuning")
    curves += [{"name": recipe, "task": "tiny", "recipe": recipe} for recipe in recipes]
    curves.append({"name": "transfer", "task": "tiny", "source": "tiny-b", "recipe": "imp-no-output"})
    names = [curve["name"] for curve in curves]
    figures = [{"name": kind, "kind": kind, "curves": names} for kind in ("metric", "difference")]
    figures += [{"name": "learning", "kind": "learning", "curves": names, "levels": [0, 2]}]
    figures += [{"name": kind, "kind": kind, "curves": ["winning"]} for kind in ("layers", "movement")]
    finished.study |= {"curves": curves, "figures": figures, "seeds": [1]}
    finished.write()
    finished.snakemake()
    rows = (finished.path / "results/tables/tiny/runs.csv").read_text().splitlines()
    own = 1 + len(recipes)
    assert len(rows) == 1 + own * 3 + (len(curves) - own) * 2
    assert {f"{f['name']}.{s}" for f in figures for s in ("svg", "png")} <= {
        path.name for path in (finished.path / "results/figures/tiny").iterdir()
    }
    finished.snakemake("--report", "report.html")
    report = (finished.path / "report.html").read_text()
    assert all(f"{figure['name']}.svg" in report for figure in figures)
    finished.study["levels"] = 3  # trained weights that later levels start from are kept
    assert finished.planned()["keep_weights"] == 2  # of level 3, for a level 4
    assert not [name for name in finished.planned_runs() if "/fine-tuning/seed1/level02" in name]


def test_a_figure_over_tasks_has_its_table(finished):
    """From the command a user types; without it there is no such table."""
    tables = finished.path / "results/tables/tiny"
    assert not (tables / "tasks.csv").exists()
    for ticket in ("winning", "random"):
        also = {"name": f"{ticket}-b", "label": ticket, "task": "tiny-b", "recipe": "imp", "ticket": ticket}
        finished.study["curves"].append(also)
    names = [curve["name"] for curve in finished.study["curves"]]
    figures = [{"name": "over", "kind": "tasks", "curves": names}]
    figures.append({"name": "scores", "kind": "profile", "curves": names, "levels": [1, 2]})
    finished.study["figures"] = figures
    finished.write()
    finished.snakemake()
    table = pd.read_csv(tables / "tasks.csv")
    assert list(table["group"]) == ["winning"] * 3 + ["random"] * 2 and set(table["tasks"]) == {2}
    assert table["improvement"].notna().tolist() == [False, True, True, False, False]
    assert table["iqm"].between(0, 1.2).all() and table["ci_low"].isna().all()  # of two seeds
    for name in ("over", "scores"):
        assert (finished.path / f"results/figures/tiny/{name}.svg").exists()
    assert finished.planned() == {}
    finished.study["figures"] = figures[1:]
    assert finished.planned() == {"tables": 1, "figure": 1}


def test_movement_is_measured_from_where_a_training_began(finished):
    """Of weights rewound to a point and of weights that go on from those of the level before."""
    finished.study["curves"] = [{"name": "on", "task": "tiny", "recipe": "fine-tuning"}]
    finished.study |= {"seeds": [1], "figures": []}
    finished.write()
    finished.snakemake()
    whole, lineage = (finished.path / f"results/{name}" for name in ("dense/tiny", "lineage/tiny"))
    dense, first, second = [
        weights.load(folder / "weights.safetensors")[0].tensors
        for folder in (whole / "seed1", *(lineage / f"fine-tuning/seed1/level0{k}" for k in (1, 2)))
    ]
    for level, began, trained in ((2, dense, first), (3, first, second)):
        folder = lineage / f"fine-tuning/seed1/level0{level}"
        mask = masks.load(folder / "mask.npz")[0]
        moved = [np.abs(trained[name] - began[name])[keep] for name, keep in mask.items()]
        found = json.loads((folder / "pruning.json").read_text())["movement"]["kept"]
        assert found == pytest.approx(np.concatenate(moved).mean(), rel=1e-4)


def test_divergence_and_collapse_are_rows_not_crashes(workspace):
    workspace.tasks["tiny"]["optimizer"] = {"name": "sgd", "lr": 1.0e30}
    workspace.tasks["tiny-b"]["length"] = "step3"
    rate = {"harsh": {"rate": 0.99, "rewind": {"weights": "init"}}}
    (workspace.path / "config/recipes/harsh.yaml").write_text(yaml.safe_dump(rate))
    workspace.tasks["tiny-b"]["rewind_points"] = []
    curves = [
        {"name": "diverges", "task": "tiny", "recipe": "imp"},
        {"name": "collapses", "task": "tiny-b", "recipe": "harsh"},
        {"name": "random", "task": "tiny-b", "recipe": "harsh", "ticket": "random"},
    ]
    workspace.study |= {"curves": curves, "seeds": [1], "levels": 3}
    workspace.study["figures"][0]["curves"] = ["diverges", "collapses", "random"]
    workspace.write()
    workspace.snakemake()
    text = (workspace.path / "results/tables/tiny/runs.csv").read_text().splitlines()
    rows = [dict(zip(text[0].split(","), line.split(","), strict=False)) for line in text[1:]]
    diverged = [row for row in rows if row["curve"] == "diverges"]
    assert [row["status"] for row in diverged] == ["diverged"] * 4
    assert {float(row["value"]) for row in diverged} == {CHANCE}
    assert {float(row["train_accuracy"]) for row in diverged} == {CHANCE}
    assert {row["early_stop_step"] for row in diverged} == {""}
    assert diverged[2]["reason"].startswith("lineage: loss not finite at step")
    last = next(row for row in rows if row["curve"] == "collapses" and row["level"] == "3")
    assert (
        last["status"] == "collapsed"
        and float(last["value"]) == CHANCE
        and "no weights left" in last["reason"]
    )


def test_what_trainings_ask_of_a_cluster_is_no_reason_to_run_again(finished):
    path = finished.path / "config/resources.yaml"
    path.write_text(path.read_text().replace("families: {}", "families: {supervised: {threads: 2}}"))
    assert "threads: 2" in path.read_text() and finished.planned() == {}


def test_snakemake_looks_for_jobs_when_one_has_ended_and_not_ever_more_often(workspace):
    workspace.tasks["tiny"] |= {"length": "epoch100", "rewind_points": ["epoch1"]}
    workspace.study["seeds"] = [1]
    jobs = sum(workspace.planned().values())
    looked = workspace.snakemake("--cores", "1", "--verbose").stderr.count("Ready jobs: ")
    assert jobs <= looked <= jobs + 3


def test_nothing_is_left_running(done):
    time.sleep(2)
    found = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]]
    assert not [line for line in found if str(done.path) in " ".join(line)]


# --- bad input


def test_bad_config_is_one_line_and_exit_code_1_before_any_job(workspace):
    workspace.study["sedes"] = [1]
    workspace.write()
    said = workspace.snakemake(check=False)
    assert said.returncode == 1
    lines = [line for line in said.stderr.splitlines() if not line.startswith("Using workflow specific")]
    assert lines == ["error: study tiny: unknown key 'sedes'; did you mean 'seeds'?"]
    assert not (workspace.path / "results").exists()


def test_a_study_given_by_file_stands_alone(workspace):
    """Nothing it leaves out is taken from the default study."""
    workspace.write()
    (workspace.path / "half.yaml").write_text("levels: 3\n")
    said = workspace.snakemake("-n", "--configfile", "half.yaml", check=False)
    assert said.returncode == 1 and "error: study None: 'study' is a required property" in said.stderr
    overridden = workspace.snakemake("-n", "--quiet", "rules", "--config", "levels=5")
    assert "train_level" in overridden.stdout + overridden.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: tiny\nseeds: [1]\nlevels: 1\nseeds: [2]\n", "line 1: 'seeds' is there twice"),
        ("", "is empty, allowed: a study, such as config/config.yaml"),
        ("- 1\n", "found list, allowed: a mapping of names to entries"),
        ("seeds: [1\n", "is not YAML: while parsing a flow sequence"),
    ],
    ids=["twice", "empty", "list", "broken"],
)
def test_a_study_file_that_is_none_is_refused_in_one_line(workspace, text, message):
    """Snakemake's own reader would let the last of two keys win. Of an empty, list-like or broken file named
    by --configfile Snakemake speaks first, without a traceback."""
    (workspace.path / "config/config.yaml").write_text(text)
    said = workspace.snakemake("-n", check=False)
    lines = [line for line in said.stderr.splitlines() if not line.startswith("Using workflow specific")]
    assert said.returncode == 1 and len(lines) == 1
    assert lines[0].startswith("error: ") and message in lines[0]
    (workspace.path / "other.yaml").write_text(text)
    said = workspace.snakemake("-n", "--configfile", "other.yaml", check=False)
    assert said.returncode == 1 and "Traceback" not in said.stdout + said.stderr
    assert "twice" not in message or f"other.yaml, {message}" in said.stderr


def test_a_list_on_the_command_line_is_one(workspace):
    workspace.write()
    said = workspace.snakemake("-n", "--config", "seeds=[7]")
    assert "/seed7/" in said.stdout and "/seed1/" not in said.stdout
    said = workspace.snakemake("-n", "--config", "seeds=nonsense", check=False)
    assert "error: study tiny: seeds: found 'nonsense', allowed: a list of at least one\n" in said.stderr
    said = workspace.snakemake("-n", "--config", "frozen={}", check=False)
    assert said.stderr.endswith("error: unknown key 'frozen'\n")


def test_a_damaged_mask_is_refused_and_named(finished):
    path = finished.path / "results/lineage/tiny/imp/seed1/level02/mask.npz"
    path.write_bytes(path.read_bytes()[:-30])
    (finished.path / "results/lineage/tiny/imp/seed1/level02/metrics.json").unlink()
    (finished.path / "results/tables/tiny/runs.csv").unlink()
    said = finished.snakemake(check=False)
    assert said.returncode == 1
    log = (finished.path / "results/logs/lineage/tiny/imp/seed1/level02.log").read_text()
    assert log.startswith("error: results/lineage/tiny/imp/seed1/level02/mask.npz: is damaged or truncated")
    assert not (path.parent / "metrics.json").exists()


def test_what_is_there_is_shown_when_a_run_fails_and_named_as_partial(finished):
    """Nothing takes it for the whole, and it is gone when that is made."""
    path = finished.path / "results/lineage/tiny/imp/seed1/level02/mask.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    (path.parent / "metrics.json").unlink()
    (finished.path / "results/tables/tiny/runs.csv").unlink()
    claim = {"name": "better", "statement": "It is", "source": "A paper 2020", "curve": "winning"}
    finished.study["claims"] = [{**claim, "against": "random", "expect": "better"}]
    finished.write()
    said = finished.snakemake("--keep-going", check=False)
    assert said.returncode == 1 and "9 of 10 runs of study tiny are there: PARTIAL tables" in said.stderr
    partial = finished.path / "results/partial/tiny"
    names = [f"PARTIAL-{name}.csv" for name in ("claims", "layers", "runs", "summary", "transfer")]
    assert sorted(one.name for one in partial.iterdir()) == sorted(
        ["MISSING.txt", "PARTIAL-claims.html", "PARTIAL-main.png", "PARTIAL-main.svg", *names]
    )
    graded = pd.read_csv(partial / "PARTIAL-claims.csv")
    assert set(graded["verdict"]) == {"too few seeds"} and graded["n"].tolist() == [1, 2, 1]
    assert not (finished.path / "results/tables/tiny/runs.csv").exists()
    lines = (partial / "MISSING.txt").read_text().splitlines()
    assert lines[1:] == [f"{LEVEL_2}: {LEVEL_2}/metrics.json: is missing"]
    summary = [line.split(",") for line in (partial / "PARTIAL-summary.csv").read_text().splitlines()]
    at = {name: summary[0].index(name) for name in ("curve", "level", "n")}
    found = {(row[at["curve"]], row[at["level"]]): row[at["n"]] for row in summary[1:]}
    assert found["winning", "2"] == "1" and found["winning", "1"] == found["random", "2"] == "2"
    svg = (partial / "PARTIAL-main.svg").read_text()
    assert "PARTIAL, 9 of 10 runs" in svg and "hollow: not all 2 runs ended well" in svg
    path.write_bytes(whole)
    finished.snakemake()
    assert not partial.exists() and (finished.path / "results/tables/tiny/runs.csv").exists()


# --- whatever Snakemake believes


def settings_of(workspace):
    """Run -> task entry of its recorded settings, of every row of runs.csv."""
    text = (workspace.path / "results/tables/tiny/runs.csv").read_text().splitlines()
    rows = [dict(zip(text[0].split(","), line.split(","), strict=False)) for line in text[1:]]
    runs = {next(value for value in row.values() if value.startswith("results/")) for row in rows}
    return {
        run: json.loads((workspace.path / run / "metrics.json").read_text())["settings"]["task"]
        for run in runs
    }


@pytest.mark.parametrize("at_once", [False, True])
def test_rows_come_from_the_settings_that_the_config_has_now(workspace, at_once):
    """A transfer and a control; rewind points and the learning rate changed, one by one and both at once."""
    for task in workspace.tasks.values():
        task["rewind_points"] = ["epoch1"]
    workspace.study["curves"] += [
        {"name": "carried", "task": "tiny", "source": "tiny-b", "recipe": "imp-no-output"},
        {"name": "control", "task": "tiny", "recipe": "imp", "ticket": "kept-fresh"},
    ]
    workspace.study |= {"seeds": [1], "levels": 1}
    workspace.write()
    workspace.snakemake()
    points, rate = ["epoch1", "step1"], {"name": "adam", "lr": 1.0e-4}
    for change in [{"rewind_points": points, "optimizer": rate}] if at_once else [
        {"rewind_points": points}, {"optimizer": rate}
    ]:  # fmt: skip
        for task in workspace.tasks.values():
            task |= change
        planned = workspace.planned()
        assert {name: planned[name] for name in ("initialise", "train_dense", "chance")} == {
            "initialise": 2, "train_dense": 2, "chance": 2
        }  # fmt: skip
        workspace.snakemake()
        found = settings_of(workspace)
        assert len(found) == 5  # dense, level 1, random, carried, control
        for task in found.values():
            assert task["rewind_points"] == points
            assert (task["optimizer"]["lr"] == 1.0e-4) == ("optimizer" in change)
        assert workspace.planned() == {}


def test_a_folder_without_records_is_refused_and_made_again_by_the_command_it_names(finished):
    shutil.rmtree(finished.path / ".snakemake")
    finished.study |= {"seeds": [1], "levels": 1}
    finished.tasks["tiny"]["optimizer"] = {"name": "adam", "lr": 1.0e-4}
    finished.write()
    given = ("--configfile", "config/config.yaml")
    assert finished.snakemake(*given, check=False).returncode == 1
    said = (finished.path / "results/logs/tables/tiny.log").read_text()
    assert said.startswith(
        "error: results/dense/tiny/seed1/metrics.json: settings.task.optimizer.lr: found 0.0012, the study "
        "asks for 0.0001; 3 of the study's 3 runs are not as asked, or made from such; to make them again: "
        "snakemake"
    )
    assert said.count("\n") == 1
    stale = finished.path / "results/tables/tiny/stale.txt"
    command = (
        said.rstrip()
        .partition("to make them again: ")[2]
        .replace("snakemake", f"{sys.executable} -m snakemake", 1)
    )
    assert " --configfile " in command
    subprocess.run(
        command, shell=True, executable="/bin/bash", cwd=finished.path, check=True, capture_output=True
    )
    assert {task["optimizer"]["lr"] for task in settings_of(finished).values()} == {1.0e-4}
    assert not stale.exists() and finished.planned() == {}


@pytest.fixture(scope="module")
def changeable(tmp_path_factory):
    """A study of half of a data set, run; and run again with other rewind points. (before, after)"""
    workspace = Workspace(tmp_path_factory.mktemp("changeable") / "workspace")
    for curve in workspace.study["curves"]:
        curve["task"] = "tiny-b"
    workspace.tasks["tiny-b"]["model"] = {"name": "conv", "layers": 2}
    workspace.study |= {"seeds": [1], "levels": 1}
    workspace.write()
    workspace.snakemake()
    before = shutil.copytree(workspace.path, tmp_path_factory.mktemp("before") / "workspace")
    workspace.tasks["tiny-b"]["rewind_points"] = ["epoch1", "step1"]
    workspace.write()
    workspace.snakemake()
    return workspace, before


TRAINED = {"train_dense": 1, "prune": 2, "train_level": 1, "train_random": 1, **ALL}
WHOLE = {"chance": 1, "initialise": 1, **TRAINED}


def edit(file, old, new):
    def change(workspace):
        path = workspace.path / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return change


CHANGES = {
    "nothing": (lambda w: None, {}),
    "task": (lambda w: w.tasks["tiny-b"].update(batch_size=30), WHOLE),
    "model options": (lambda w: w.tasks["tiny-b"].update(model={"name": "conv", "layers": 4}), WHOLE),
    "data set": (
        edit("config/datasets/halves.yaml", "{of: digits, half: b}", "{of: digits, half: a}"),
        {"prepare_data": 1, **WHOLE},
    ),
    "recipe": (
        edit("config/recipes/magnitude.yaml", "imp:\n", "imp:\n  rewind: {weights: init}\n"),
        {"prune": 1, "train_level": 1, **ALL},  # the first mask is of the dense run
    ),
    "seeds": (lambda w: w.study.update(seeds=[1, 2]), {"initialise": 1, **TRAINED}),
    "levels": (lambda w: w.study.update(levels=2), {"prune": 1, "train_level": 1, "train_random": 1, **ALL}),
    "version": (
        edit("workflow_scripts/lottery/__init__.py", "RESULTS_VERSION = 2", "RESULTS_VERSION = 3"),
        {"prepare_data": 1, **WHOLE},
    ),
}


@pytest.mark.parametrize("after", [False, True], ids=["alone", "after-rewind-points"])
@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_runs_what_it_touches_and_no_more(changeable, tmp_path, kind, after):
    workspace, before = changeable
    made = Workspace(tmp_path / "workspace")
    made.study, made.tasks = copy.deepcopy(workspace.study), copy.deepcopy(workspace.tasks)
    if not after:
        del made.tasks["tiny-b"]["rewind_points"]
    for name in ("results", ".snakemake"):
        shutil.copytree((workspace.path if after else before) / name, made.path / name, dirs_exist_ok=True)
    change, expected = CHANGES[kind]
    change(made)
    assert made.planned() == expected
