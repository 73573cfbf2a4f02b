"""Pruning before training: SNIP's scores against ones by hand, exact masks, lineages that train nothing."""

# ruff: noqa: E501

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import DATASETS, REPO, Workspace, contents
from lottery import addresses, belonging, masks, planning, runs, stages, weights
from lottery.config import read_recipes, read_tasks
from lottery.data.images import splits
from lottery.lineage import Lineage, find_tickets
from lottery.pruning import Pruning, keep_count, pools
from lottery.schemas import read_yaml
from lottery.seeds import seed_for
from lottery.study import read_study, scoring_settings
from lottery.tasks import supervised

BATCH_NORM = {
    "validation": 777,
    "image": [3, 16, 16],
    "model": {"name": "resnet-20", "width": 4, "blocks": 1},
}


def begin(task):
    return supervised.initialise(task, seed_for(1, "init"))


def ten_of_each(task, path):
    """The first ten training examples of each class as the network gets them, and their labels."""
    arrays, _ = weights.load_arrays(path)
    members, _ = splits(len(arrays["train_labels"]), task["validation"])
    labels = arrays["train_labels"][members]
    ten = np.sort(np.concatenate([np.flatnonzero(labels == label)[:10] for label in range(10)]))
    images = (arrays["train_images"][members][ten] - arrays["mean"].item()) / arrays["std"].item()
    return images, labels[ten]


def by_hand(tensors, images, labels):
    """Weight times the gradient of the mean loss, of each example: name -> [N, out, in]; LeNet-300-100."""
    layers = [images.reshape(len(images), -1).astype(np.float64)]
    names = ["fc1", "fc2", "output"]
    for name in names:
        z = layers[-1] @ tensors[f"{name}.weight"].T.astype(np.float64) + tensors[f"{name}.bias"]
        layers.append(np.maximum(z, 0) if name != "output" else z)
    odds = np.exp(layers[-1] - layers[-1].max(1, keepdims=True))
    back = (odds / odds.sum(1, keepdims=True) - np.eye(10)[labels]) / len(images)
    found = {}
    for name, below in zip(reversed(names), reversed(layers[:-1]), strict=True):
        weight = tensors[f"{name}.weight"]
        found[f"{name}.weight"] = weight * back[:, :, None] * below[:, None, :]
        back = (back @ weight) * (below > 0)
    return found


def test_a_score_is_what_it_is_by_hand_with_one_absolute_value_for_all_batches(tiny, digits):
    task = tiny(batch_size=30)
    start = begin(task)
    found = supervised.scores(task, start, digits, "snip")
    for name, each in by_hand(start.tensors, *ten_of_each(task, digits)).items():
        np.testing.assert_allclose(found[name], np.abs(each.sum(0)), rtol=1e-4, atol=1e-8)
        batches = np.add.reduceat(each, np.arange(0, 100, 30), axis=0)
        assert np.abs(batches).sum() > 1.2 * found[name].sum(), "the absolute value of each batch is another"


def by_autograd(task, start, path, training):
    """|weight x gradient| in torch, of all examples at once."""
    images, labels = ten_of_each(task, path)
    model = supervised.module(task).train(training)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in start.tensors.items()})
    padded = np.zeros((len(images), *task["image"]), np.float32)
    arrays, _ = weights.load_arrays(path)
    padded[:] = -arrays["mean"].item() / arrays["std"].item()  # black
    padded[:, :, 4:12, 4:12] = images
    loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(padded)), torch.from_numpy(labels).long())
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters)
    return {n: (p * g).abs().detach().numpy() for n, p, g in zip(names, parameters, gradients, strict=True)}


def test_batch_norm_is_scored_in_evaluation_mode_and_its_statistics_stay(tiny, digits):
    task = tiny(**BATCH_NORM)
    start = begin(task)
    before = {name: array.copy() for name, array in start.tensors.items()}
    found = supervised.scores(task, start, digits, "snip")
    assert all(np.array_equal(array, before[name]) for name, array in start.tensors.items())
    expected, training = (by_autograd(task, start, digits, mode) for mode in (False, True))
    largest = max(float(array.max()) for array in expected.values())
    for name, scores in found.items():
        np.testing.assert_allclose(scores, expected[name], rtol=1e-3, atol=1e-6 * largest)
    name = max(expected, key=lambda name: expected[name].size)
    assert not np.allclose(found[name], training[name], rtol=0.1)
    for name, scores in supervised.scores(tiny(**BATCH_NORM, batch_size=7), start, digits, "snip").items():
        np.testing.assert_allclose(scores, found[name], rtol=1e-3, atol=1e-6 * largest)


# --- the stage


RECIPE = {"scope": "global", "criterion": "snip", "rate": 0.3, "rates": {}, "iterative": False}
RECIPE |= {"roles": ["weight"], "output": True, "exclude": []}
RECIPE |= {"rewind": {"weights": "init", "schedule": "start", "optimizer": "fresh"}}


@pytest.fixture
def scored(tiny, digits, tmp_path):
    """Mask, header and record of a level: scored(level, start=..., seed=..., scope=...)."""
    task = tiny()
    (tmp_path / "digits.json").write_text('{"sha256": "the data"}')

    def score(level, start=None, seed=1, **recipe):
        inputs = {"data": str(digits), "data_record": str(tmp_path / "digits.json")}
        inputs["start"] = str(tmp_path / "init.safetensors")
        weights.save(inputs["start"], start or begin(task))
        outputs = {"mask": str(tmp_path / "mask.npz"), "pruning": str(tmp_path / "pruning.json")}
        settings = scoring_settings(task, "r", RECIPE | recipe, seed, level)
        stages.score(json.loads(json.dumps(settings)), inputs, outputs, runs.HERE)
        mask, header = masks.load(outputs["mask"])
        return mask, header, json.loads(Path(outputs["pruning"]).read_text())

    return score


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_a_mask_keeps_exactly_the_largest_scores_of_its_level(scored, tiny, digits, scope):
    task, before = tiny(), None
    start = begin(task)
    found = supervised.scores(task, start, digits, "snip")
    for level in (1, 2, 12):
        mask, header, record = scored(level, scope=scope)
        for names, keep in pools(start, Pruning(scope=scope, rate=0.3), level):
            kept = np.concatenate([found[name][mask[name]] for name in names])
            gone = np.concatenate([found[name][~mask[name]] for name in names])
            assert len(kept) == keep and kept.min() >= gone.max()
        assert before is None or not any(np.any(mask[name] & ~before[name]) for name in mask)
        assert header["status"] == "ok" and record["movement"] == {"kept": None, "pruned": None}
        assert record["made_from"]["data"] == "the data" and record["settings"]["task"] == task
        before = mask


def test_weights_of_pixels_that_are_always_black_are_drawn_by_the_seed(scored, tiny):
    """Their scores are equal, and there are more of them than are pruned."""
    start = begin(tiny())
    start.tensors["fc1.weight"][:] = 0
    first, again, other = (scored(1, start=start, seed=seed)[0] for seed in (1, 1, 2))
    assert masks.kept(first) == masks.kept(other) == keep_count(50_200, 0.3, 1)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["fc1.weight"], other["fc1.weight"])


def test_scores_that_are_not_finite_are_a_recorded_failure(scored, tiny):
    start = begin(tiny())
    start.tensors["fc2.weight"][0, 0] = np.nan
    mask, header, record = scored(2, start=start)
    assert masks.kept(mask) == record["kept"] == keep_count(50_200, 0.3, 2)
    assert (header["status"], header["reason"]) == ("diverged", "snip scores that are not finite")
    assert (record["status"], record["reason"]) == ("diverged", "snip scores that are not finite")


# --- the workflow


RECIPES = {
    "snip": {"criterion": "snip", "rate": 0.5, "iterative": False, "rewind": {"weights": "init"}},
    "snip-carried": {
        "criterion": "snip",
        "rate": 0.5,
        "iterative": False,
        "output": False,
        "rewind": {"weights": "init"},
    },
    "snip-later": {"criterion": "snip", "rate": 0.5, "iterative": False, "rewind": {"weights": "epoch1"}},
}
CONTROLS = [
    {"name": "redrawn", "task": "tiny", "recipe": "snip", "ticket": "kept-fresh"},
    {"name": "shuffled", "task": "tiny", "recipe": "snip", "ticket": "layer-rewound"},
    {"name": "both", "task": "tiny", "recipe": "snip", "ticket": "layer-fresh"},
    {"name": "carried", "task": "tiny", "source": "tiny-b", "recipe": "snip-carried"},
    {"name": "random", "task": "tiny", "recipe": "snip", "ticket": "random"},
]
OWN = [
    {"name": "snip", "task": "tiny", "recipe": "snip"},
    {"name": "copy", "task": "tiny", "recipe": "snip", "copy": 1},
    {"name": "later", "task": "tiny", "recipe": "snip-later"},
]
FIGURES = [
    {"name": "all", "kind": "metric", "curves": ["snip", "later", "redrawn", "shuffled", "both", "random"]},
    {"name": "difference", "kind": "difference", "curves": ["snip", "both"]},
    {"name": "layers", "kind": "layers", "curves": ["snip"]},
]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(what a study of controls alone runs; the workspace, in which it was run, and one of lineages too)"""
    workspace = Workspace(tmp_path_factory.mktemp("snip") / "workspace")
    (workspace.path / "config/recipes/mine.yaml").write_text(
        yaml.safe_dump({f"my-{name}": entry for name, entry in RECIPES.items()})
    )
    mine = [{**curve, "recipe": f"my-{curve['recipe']}"} for curve in CONTROLS + OWN]
    workspace.study |= {"seeds": [1], "levels": 2, "figures": [], "curves": mine[: len(CONTROLS)]}
    alone = workspace.planned()
    workspace.snakemake()
    assert not list((workspace.path / "results/dense").rglob("metrics.json"))
    study = read_study(read_yaml(workspace.path / "config/config.yaml"), workspace.path / "config")
    assert len(planning.trainings(study)) == sum(n for rule, n in alone.items() if rule.startswith("train_"))
    workspace.study |= {"figures": FIGURES, "curves": mine}
    workspace.write()
    workspace.snakemake()
    return alone, workspace


def test_tickets_of_scored_masks_need_no_trained_network(done):
    alone, _ = done
    trained = {"train_ticket": 8, "train_random": 2}
    assert alone == {"prepare_data": 2, "chance": 1, "initialise": 2, "score": 4, **trained, "tables": 1}


def test_every_run_of_such_a_lineage_stands_in_the_tables(done):
    _, workspace = done
    tables = workspace.path / "results/tables/tiny"
    table = pd.read_csv(tables / "runs.csv")
    assert len(table) == 5 * 2 + 3 * 3 and (table["status"] == "ok").all()
    assert table["moved_kept"].isna().all() and table["moved_pruned"].isna().all()
    for level in (1, 2):
        at = table[table["level"] == level].set_index("curve")
        counts = at.loc[["snip", "copy", "later", "redrawn", "shuffled", "both", "random"], "kept"]
        assert set(counts) == {keep_count(50_200, 0.5, level)}
    layers = pd.read_csv(tables / "layers.csv")
    assert len(layers) == 2 * 2 * 3 and set(layers["curve"]) == {"snip", "later"}
    for name in ("all", "difference", "layers"):
        assert (workspace.path / f"results/figures/tiny/{name}.svg").exists()
    assert workspace.planned() == {}


def test_the_score_is_taken_of_the_weights_that_the_ticket_starts_from(done):
    _, workspace = done
    dense = workspace.path / addresses.dense("tiny", 1)
    task = read_tasks(workspace.path / "config/tasks", DATASETS)["tiny"]
    data = workspace.path / "results/data/digits.safetensors"
    for recipe, start in {
        "my-snip": weights.load(dense / "init.safetensors")[0],
        "my-snip-later": weights.load(dense / "rewind.safetensors", "epoch1")[0],
    }.items():
        mask, _ = masks.load(workspace.path / addresses.lineage("tiny", recipe, 1, 2) / "mask.npz")
        found = supervised.scores(task, start, data, "snip")
        assert min(found[n][mask[n]].min() for n in mask) >= max(found[n][~mask[n]].max() for n in mask)


def test_the_loop_in_one_process_makes_the_same_files(done, tmp_path):
    _, workspace = done
    (tmp_path / "results/data").mkdir(parents=True)
    for name in ("digits.safetensors", "digits.json"):
        shutil.copy(workspace.path / "results/data" / name, tmp_path / "results/data" / name)
    task = read_tasks(workspace.path / "config/tasks", DATASETS)["tiny"]
    recipes = read_recipes(
        workspace.path / "config/recipes", read_yaml(REPO / "config/schemas/recipe.schema.yaml")
    )
    find_tickets(Lineage(tmp_path, task, "my-snip", recipes["my-snip"], seed=1), levels=2)
    made = contents(tmp_path / "results/lineage/tiny/my-snip/seed1")
    asked = contents(workspace.path / "results/lineage/tiny/my-snip/seed1")
    shared = made.keys() & asked.keys()
    assert {f"level0{level}/{name}" for level in (1, 2) for name in ("mask.npz", "metrics.json")} <= shared
    assert all(made[name] == asked[name] for name in shared)


@pytest.mark.parametrize(
    ("file", "keys", "said"),
    [
        ("lineage/tiny/my-snip/seed1/level01/pruning.json", ("mask_sha256",), "made_from.mask: found"),
        ("lineage/tiny/my-snip/seed1/level02/pruning.json", ("settings", "task", "batch_size"), "settings.task.batch_size"),
        ("lineage/tiny/my-snip/seed1/level02/pruning.json", ("made_from", "start"), "made_from.start: found"),
        ("lineage/tiny/my-snip-later/seed1/level02/pruning.json", ("made_from", "start"), "made_from.start: found"),
        ("lineage/tiny-b/my-snip-carried/seed1/level01/pruning.json", ("made_from", "data"), "made_from.data: found"),
        ("dense/tiny-b/seed1/init.json", ("weights_sha256",), "made_from.start: found"),
    ],
)  # fmt: skip
def test_a_mask_of_another_task_start_or_data_is_refused(done, tmp_path, monkeypatch, file, keys, said):
    _, workspace = done
    for path in (workspace.path / "results").rglob("*.json"):
        copied = tmp_path / path.relative_to(workspace.path)
        copied.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, copied)
    monkeypatch.chdir(tmp_path)
    (listed,) = Path("results/tables/tiny").glob("asked-*.json")
    asked = json.loads(listed.read_text())
    assert not any(belonging.strays(asked).values())
    content = inner = json.loads((Path("results") / file).read_text())
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = "another"
    (Path("results") / file).unlink()
    (Path("results") / file).write_text(json.dumps(content))
    found = [stray.said for wrong in belonging.strays(asked).values() for stray in wrong]
    assert found and all(said in one for one in found), found


def test_another_task_scores_again_and_a_resource_does_not(done, tmp_path):
    _, workspace = done
    made = Workspace(tmp_path / "workspace")
    made.study, made.tasks = workspace.study, {name: dict(task) for name, task in workspace.tasks.items()}
    for name in ("results", ".snakemake", "config"):
        shutil.copytree(workspace.path / name, made.path / name, dirs_exist_ok=True)
    resources = made.path / "config/resources.yaml"
    resources.write_text(resources.read_text().replace("runtime: ", "runtime: 1", 1))
    assert made.planned() == {}
    made.tasks["tiny-b"]["batch_size"] = 30
    planned = made.planned()
    assert planned["score"] == 2 and planned["initialise"] == 1 and "train_level" not in planned
