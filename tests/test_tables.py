"""Tables from made-up runs whose means and differences are known; figures from these tables."""

import json

import numpy as np
import pandas as pd
import pytest
from lottery import tables
from lottery.figures import KINDS, draw
from lottery.study import Curve
from lottery.tables import interval, write_tables

CURVES = [
    Curve("winning", "t", "t", "imp", "lad", "winning", (0, 1, 2)),
    Curve("transfer", "t", "s", "imp", "lad", "winning", (1, 2)),
    Curve("random", "t", "t", "other-recipe", "lad", "random", (1, 2)),
    Curve("random-else", "t", "t", "else", "another-ladder", "random", (1, 2)),
]
VALUES = {"winning": 0.9, "transfer": 0.8, "random": 0.5, "random-else": 0.1}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The tables of the curves above, seeds 1 to 3; value = VALUES - 0.1 level + 0.01 seed."""
    monkeypatch.chdir(tmp_path)
    for curve in CURVES:
        for seed in (1, 2, 3):
            for level in curve.levels:
                value = VALUES[curve.name] - 0.1 * level + 0.01 * seed
                counts = {"kept": 80 // level, "prunable": 100} if level else {}
                run = {"status": "ok", "reason": "", "metric": "test_accuracy", "value": value}
                run |= {"fraction_pruned": 1 - counts["kept"] / 100 if level else 0.0, **counts}
                run |= {"fraction_pruned_of_all": 0.0}
                run["metrics"] = {"test_accuracy": value, "train_accuracy": 1.0}
                run["provenance"] = {"seconds": 1.0, "versions": {"commit": "abc"}}
                folder = tmp_path / curve.run(seed, level)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "metrics.json").write_text(json.dumps(run))
                (folder / "curve.csv").write_text("step,test_accuracy\n0,0.1\n5,0.5\n")
                layers = {"fc1": {"kept": 10, "prunable": 20}, "output": {"kept": 9, "prunable": 10}}
                report = {"movement": {"kept": 0.5, "pruned": 0.1}, "layers": layers, "fraction_pruned": 0.25}
                (folder / "pruning.json").write_text(json.dumps(report))
    asked = {"study": "s", "seeds": [1, 2, 3], "curves": [vars(curve) for curve in CURVES]}
    paths = {name: str(tmp_path / f"{name}.csv") for name in ("runs", "summary", "transfer", "layers")}
    write_tables(asked, paths)
    return paths


def test_runs_are_tidy_with_the_columns_promised(made):
    runs = pd.read_csv(made["runs"])
    promised = (
        "study curve target source recipe ticket seed level kept prunable fraction_pruned metric value status"
    )
    assert list(runs.columns[:15]) == [
        *promised.split()[:11],
        "fraction_pruned_of_all",
        *promised.split()[11:],
    ]
    assert len(runs) == 9 + 6 + 6 + 6 and not runs.duplicated(["curve", "seed", "level"]).any()
    dense = runs[runs["level"] == 0]
    assert (dense["kept"] == dense["prunable"]).all() and (dense["prunable"] == 100).all()


def test_summary_has_mean_deviation_count_and_paired_difference(made):
    summary = pd.read_csv(made["summary"]).set_index(["curve", "level"])
    row = summary.loc["transfer", 2]
    assert (row["mean"], row["sd"], row["n"]) == (pytest.approx(0.62), pytest.approx(0.01), 3)
    assert row["ci_low"] < row["mean"] < row["ci_high"]
    assert (
        row["difference"] == pytest.approx(0.3) and row["difference_n"] == 3
    )  # of its ladder, not the other
    assert row["difference_ci_low"] == pytest.approx(0.3) == row["difference_ci_high"]
    assert np.isnan(summary.loc["winning", 0]["difference"])  # there is no random ticket of level 0
    assert np.isnan(summary.loc["random", 1]["difference"])


def test_layers_stand_as_in_the_network():
    names = ["features.11.weight", "features.4.weight", "features.4.bias", "layer2.0.conv1.weight"]
    ordered = sorted(((name, {}) for name in reversed(names)), key=tables.in_network)
    assert [name for name, _ in ordered] == [names[2], names[1], names[0], names[3]]


def test_layers_have_their_rate_relative_to_the_whole(made):
    layers = pd.read_csv(made["layers"])
    assert set(layers["curve"]) == {"winning"}  # a transfer's mask is its source's
    first = layers[(layers["layer"] == "fc1") & (layers["level"] == 1)]
    assert first["ratio_to_overall"].tolist() == [2.0] * 3


def test_the_interval_is_a_bootstrap_of_the_mean():
    values = np.random.default_rng(0).normal(size=200)
    low, high = interval(values)
    error = values.std() / 200**0.5
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
    assert interval(values) == (low, high)
    assert np.isnan(interval(values[:1])).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", ["remaining", "pruned"])
def test_every_kind_of_figure_is_drawn_the_same_each_time(made, tmp_path, kind, x):
    names = ["winning"] if kind in ("layers", "movement") else ["winning", "transfer", "random"]
    figure = {"kind": kind, "x": x, "title": "a title", "curves": names, "value": "value", "levels": [1, 2]}
    curves = {name: (f"the {name} one", number) for number, name in enumerate(names)}
    drawn = []
    for attempt in "ab":
        paths = {suffix: str(tmp_path / f"{attempt}.{suffix}") for suffix in ("svg", "png")}
        draw(figure, curves, made, paths)
        drawn.append((tmp_path / f"{attempt}.svg").read_text())
    assert drawn[0] == drawn[1]
    assert "a title" in drawn[0] and ("fc1" if kind == "layers" else "the winning one") in drawn[0]
    assert (tmp_path / "a.png").stat().st_size > 10_000
