"""Tables from made-up runs whose means and differences are known; figures from these tables."""

import json
import re
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from lottery import figures, tables
from lottery.figures import KINDS, draw
from lottery.study import Curve
from lottery.tables import write_tables
from matplotlib.axes import Axes

CURVES = [
    Curve("winning", "t", "t", "imp", "lad", "winning", (0, 1, 2)),
    Curve("transfer", "t", "s", "imp", "lad", "winning", (1, 2)),
    Curve("random", "t", "t", "other-recipe", "lad", "random", (1, 2)),
    Curve("random-else", "t", "t", "else", "another-ladder", "random", (1, 2)),
]
VALUES = {"winning": 0.9, "transfer": 0.8, "random": 0.5, "random-else": 0.1}


# two targets whose metrics are better in opposite directions, and the values of seeds 1 to 3 at level 1
BOTH = [
    Curve("up-own", "up", "up", "imp", "lad", "winning", (0, 1, 2)),
    Curve("up-carried", "up", "up-source", "imp", "lad", "winning", (1, 2)),
    Curve("up-random", "up", "up", "imp", "lad", "random", (1, 2)),
    Curve("down-own", "down", "down", "imp", "lad", "winning", (0, 1, 2)),
    Curve("down-carried", "down", "down-source", "imp", "lad", "winning", (1, 2)),
    Curve("down-random", "down", "down", "imp", "lad", "random", (1, 2)),
]
BOTH_VALUES = {
    "up-own": (0.90, 0.92, 0.91),
    "up-carried": (0.85, 0.88, 0.83),
    "up-random": (0.50, 0.55, 0.51),
    "down-own": (3.0, 3.2, 3.1),
    "down-carried": (3.5, 3.3, 3.4),
    "down-random": (5.0, 5.5, 5.1),
}

# further trainings of a study's curves; copy 2 has neither a random ticket nor an own one of its recipe
COPIES = [
    Curve("own", "t", "t", "imp", "lad", "winning", (0, 1, 2)),
    Curve("own-else", "t", "t", "else", "lad", "winning", (1, 2), copy=2),
    Curve("own-1", "t", "t", "imp", "lad", "winning", (0, 1, 2), copy=1),
    Curve("carried-1", "t", "s", "imp", "lad", "winning", (1, 2), copy=1),
    Curve("carried-2", "t", "s", "imp", "lad", "winning", (1, 2), copy=2),
    Curve("random", "t", "t", "imp", "lad", "random", (1, 2)),
    Curve("random-1", "t", "t", "else", "lad", "random", (1, 2), copy=1),
]
COPIES_VALUES = {
    "own": 0.9,
    "own-else": 0.1,
    "own-1": 0.8,
    "carried-1": 0.75,
    "carried-2": 0.7,
    "random": 0.5,
    "random-1": 0.3,
}


def write_run(curve, seed, level, value, metric, better, chance):
    """The files of one made-up run, in the working directory; those of a mask beside copy 0 only."""
    counts = {"kept": 80 // level, "prunable": 100} if level else {}
    run = {"status": "ok", "reason": "", "metric": metric, "better": better, "value": value, "chance": chance}
    run |= {"fraction_pruned": 1 - counts["kept"] / 100 if level else 0.0, **counts}
    run |= {"fraction_pruned_of_all": 0.0}
    run["metrics"] = {metric: value, "train_accuracy": 1.0}
    folder = Path(curve.run(seed, level))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(run))
    (folder / "curve.csv").write_text(f"step,{metric}\n0,0.1\n5,0.5\n")
    if curve.own and level and not curve.copy:
        layers = {"fc1": {"kept": 10, "prunable": 20}, "output": {"kept": 9, "prunable": 10}}
        report = {"movement": {"kept": 0.5, "pruned": 0.1}, "layers": layers, "fraction_pruned": 0.25}
        (folder / "pruning.json").write_text(json.dumps(report))


def tables_of(curves):
    """Write the tables of made-up runs; their paths."""
    asked = {"study": "s", "seeds": [1, 2, 3], "curves": [vars(curve) for curve in curves]}
    paths = {name: str(Path(f"{name}.csv").resolve()) for name in ("runs", "summary", "transfer", "layers")}
    write_tables(asked, paths)
    return paths


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The tables of CURVES, seeds 1 to 3; value = VALUES - 0.1 level + 0.01 seed."""
    monkeypatch.chdir(tmp_path)
    for curve, seed in product(CURVES, (1, 2, 3)):
        for level in curve.levels:
            value = VALUES[curve.name] - 0.1 * level + 0.01 * seed
            write_run(curve, seed, level, value, "test_accuracy", "higher", 0.1)
    return tables_of(CURVES)


@pytest.fixture
def both(tmp_path, monkeypatch):
    """The tables of BOTH; values are those of level 1, at other levels a little above."""
    monkeypatch.chdir(tmp_path)
    for curve, seed in product(BOTH, (1, 2, 3)):
        up = curve.task == "up"
        said = ("test_accuracy", "higher", 0.1) if up else ("test_log_perplexity", "lower", 8.0)
        for level in curve.levels:
            value = BOTH_VALUES[curve.name][seed - 1] + (0.0123 if level != 1 else 0)
            write_run(curve, seed, level, value, *said)
    return tables_of(BOTH)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The tables of COPIES; value = COPIES_VALUES + 0.01 seed."""
    monkeypatch.chdir(tmp_path)
    for curve, seed in product(COPIES, (1, 2, 3)):
        for level in curve.levels:
            value = COPIES_VALUES[curve.name] + 0.01 * seed
            write_run(curve, seed, level, value, "test_accuracy", "higher", 0.1)
    return tables_of(COPIES)


def drawn_svg(kind, names, inputs, **more):
    """The text of a figure's SVG."""
    figure = {"kind": kind, "x": "remaining", "title": "a title", "curves": names, "value": "value", **more}
    legend = {name: (name, number) for number, name in enumerate(names)}
    outputs = {suffix: str(Path(f"drawn.{suffix}").resolve()) for suffix in ("svg", "png")}
    draw({"levels": [1, 2], **figure}, legend, inputs, outputs)
    return Path(outputs["svg"]).read_text()


def names_of(target):
    return [f"{target}-{kind}" for kind in ("own", "carried", "random")]


def test_runs_are_tidy_with_the_columns_promised(made):
    runs = pd.read_csv(made["runs"])
    promised = (
        "study curve target source recipe ticket seed level kept prunable fraction_pruned "
        "fraction_pruned_of_all metric value better chance status"
    )
    assert list(runs.columns[:17]) == promised.split()
    assert set(runs["better"]) == {"higher"} and set(runs["chance"]) == {0.1}
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


def test_nothing_is_cut_off_at_the_edge_of_a_figure_with_a_long_legend(made):
    layers = pd.read_csv(made["layers"])
    more = [layers.assign(layer=f"a layer with a name of some length {number}") for number in range(7)]
    pd.concat(more).to_csv(made["layers"])
    drawn_svg("layers", ["winning"], made)
    picture = plt.imread("drawn.png")[:, :, :3]
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 1).all()


def test_only_a_study_with_copies_has_their_column(made):
    """And each table has the direction beside the metric."""
    for name in ("runs", "summary", "transfer", "layers"):
        columns = list(pd.read_csv(made[name]))
        assert "copy" not in columns
        assert name == "layers" or "better" in columns
    for name in ("summary", "transfer"):
        columns = list(pd.read_csv(made[name]))
        assert columns[columns.index("metric") + 1] == "better"


def with_interval(values):
    """Mean and 95 % interval (Student's t)."""
    low, high = scipy.stats.t.interval(0.95, len(values) - 1, np.mean(values), scipy.stats.sem(values))
    return np.mean(values), low, high


@pytest.mark.parametrize(
    "curve, expected",
    [
        ("up-own", (0.40, 0.37, 0.40)),
        ("up-carried", (0.35, 0.33, 0.32)),
        ("down-own", (2.0, 2.3, 2.0)),
        ("down-carried", (1.5, 2.2, 1.7)),
    ],
)
def test_a_difference_is_positive_where_the_ticket_is_better(both, curve, expected):
    summary = pd.read_csv(both["summary"]).set_index(["curve", "level"])
    for level in (1, 2):
        row = summary.loc[curve, level]
        found = tuple(row[f"difference{end}"] for end in ("", "_ci_low", "_ci_high"))
        assert found == pytest.approx(with_interval(expected)) and row["difference_n"] == 3
        assert row["better"] == ("higher" if curve.startswith("up") else "lower")


def test_a_transfer_is_compared_with_its_target_in_the_metrics_direction(both):
    transfer = pd.read_csv(both["transfer"]).set_index(["target", "source", "level"])
    ends = ["own_difference", "own_difference_ci_low", "own_difference_ci_high"]
    up, down = transfer.loc["up", "up-source", 1], transfer.loc["down", "down-source", 1]
    assert list(up[ends]) == pytest.approx(with_interval((-0.05, -0.04, -0.08)))
    assert list(down[ends]) == pytest.approx(with_interval((-0.5, -0.1, -0.3)))
    assert (up["better"], down["better"]) == ("higher", "lower")
    assert pd.read_csv(both["runs"]).groupby("target")["chance"].unique().map(list).to_dict() == {
        "up": [0.1],
        "down": [8.0],
    }


def test_a_matrix_has_the_better_in_blue_in_both_directions(both, monkeypatch):
    images = []
    imshow = Axes.imshow
    monkeypatch.setattr(
        Axes, "imshow", lambda axes, *a, **more: images.append(imshow(axes, *a, **more)) or images[-1]
    )
    up, down = (drawn_svg("matrix", names_of(target), both) for target in ("up", "down"))
    gaps = [image.get_array()[:, 0] for image in images]
    assert len(images) == 4  # levels 1 and 2 of each
    assert list(gaps[0]) == pytest.approx([0, -0.17 / 3, -0.39])
    assert list(gaps[2]) == pytest.approx([0, -0.3, -2.1])
    assert [image.get_clim() for image in images[:2]] == [(-0.2, 0.2)] * 2
    assert images[2].get_clim() == images[3].get_clim() == pytest.approx((-2.1, 2.1))
    red, _, blue, _ = images[2].to_rgba(np.array([-0.3, 0.3])).T
    assert red[0] > blue[0] and blue[1] > red[1]
    assert all(f">{number}</text>" in up for number in (91, 85, 52))  # per cent
    assert all(f">{number}</text>" in down for number in ("3.1", "3.4", "5.2", "3.11", "3.41", "5.21"))
    assert "positive is better" in down and "positive is better" not in up


def test_the_gaps_of_a_matrix_are_clear_where_the_interval_excludes_0(both):
    summary = pd.read_csv(both["summary"])
    summary = summary[(summary["level"] == 1) & summary["curve"].str.startswith("down")]
    summary["row"] = summary["curve"]
    gap, value, clear = figures._gaps(summary, names_of("down"), ["down"])
    assert gap[:, 0] == pytest.approx([0, -0.3, -2.1]) and clear[:, 0].tolist() == [False, False, True]
    assert value[:, 0] == pytest.approx([3.1, 3.4, 5.2])


def test_each_row_of_a_matrix_has_its_own_difference_and_is_bold_from_three_seeds(copied):
    """Two rows of random tickets are as far from the own tickets as each of them is."""
    names = ["own", "random", "random-1", "carried-1"]
    summary = pd.read_csv(copied["summary"])
    summary = summary[(summary["level"] == 1) & summary["curve"].isin(names)].assign(row=lambda t: t["curve"])
    gap, value, clear = figures._gaps(summary, names, ["t"])
    assert gap[:, 0] == pytest.approx([0, 0.5 - 0.9, 0.3 - 0.8, 0.75 - 0.8])
    assert value[:, 0] == pytest.approx([0.92, 0.52, 0.32, 0.77])
    assert clear[:, 0].tolist() == [False, True, True, True]
    _, _, clear = figures._gaps(summary.assign(own_difference_n=2), names, ["t"])
    assert not clear.any()


def test_the_colours_of_a_matrix_without_gaps_have_a_range():
    metrics = pd.Series(["test_log_perplexity"])
    assert figures._limit(metrics, np.array([[0.0, np.nan], [0.0, 0.0]])) > 0
    assert figures._limit(metrics, np.array([np.nan])) > 0
    assert figures._limit(metrics, np.array([0.5, -3.0, np.nan])) == 3.0


def test_labels_say_which_way_is_better(both):
    up, down = names_of("up"), names_of("down")
    assert ">test log-perplexity (lower is better)</text>" in drawn_svg("metric", down, both)
    assert ">test log-perplexity (lower is better)</text>" in drawn_svg("learning", down, both)
    assert ">test log-perplexity, random minus ticket</text>" in drawn_svg("difference", down, both)
    assert ">test accuracy</text>" in drawn_svg("metric", up, both)
    assert ">test accuracy, minus random</text>" in drawn_svg("difference", up, both)
    assert ">train accuracy</text>" in drawn_svg("metric", down, both, value="train_accuracy")


@pytest.mark.parametrize("kind", [*KINDS, "matrix"])
def test_metrics_of_both_directions_can_stand_in_one_figure(both, kind):
    names = ["up-own", "down-own"] if kind in ("layers", "movement") else [*names_of("down"), *names_of("up")]
    text = drawn_svg(kind, names, both)
    assert "a title" in text and pd.read_csv(both["summary"])["better"].nunique() == 2
    assert kind != "matrix" or all(f">{number}</text>" in text for number in (91, "3.1"))


def test_a_copy_is_compared_with_the_same_copy_else_with_the_first(copied):
    summary = pd.read_csv(copied["summary"]).set_index(["curve", "level"])
    differences = {name: summary.loc[name, 1]["difference"] for name in COPIES_VALUES}
    assert differences["own"] == pytest.approx(0.9 - 0.5)
    assert differences["own-1"] == pytest.approx(0.8 - 0.3)
    assert differences["carried-1"] == pytest.approx(0.75 - 0.3)
    assert differences["carried-2"] == pytest.approx(0.7 - 0.5)  # there is no random ticket of copy 2
    assert summary.loc["carried-1", 1]["own_difference"] == pytest.approx(0.75 - 0.8)
    assert summary.loc["carried-2", 1]["own_difference"] == pytest.approx(0.7 - 0.9)  # not own-else's
    transfer = pd.read_csv(copied["transfer"])
    assert transfer[transfer["source"] == "s"]["copy"].tolist() == [1, 2] * 2


def test_the_first_training_is_not_compared_with_a_copy(copied):
    summary = pd.read_csv(tables_of([COPIES[0], COPIES[-1]])["summary"]).set_index(["curve", "level"])
    assert summary.loc["own", 1]["difference_n"] == 0 and np.isnan(summary.loc["own", 1]["difference"])


def test_a_copy_has_no_movement_and_no_layers(copied):
    runs = pd.read_csv(copied["runs"])
    assert list(runs.columns[7:10]) == ["level", "copy", "kept"]
    assert runs.groupby("curve")["copy"].unique().map(list).to_dict() == {c.name: [c.copy] for c in COPIES}
    assert all(run.endswith("/copy1") for run in runs[runs["copy"] == 1]["run"])
    pruned = runs[(runs["level"] > 0) & runs["curve"].isin(["own", "own-1"])].groupby("curve")
    assert pruned["moved_kept"].count().to_dict() == {"own": 6, "own-1": 0}
    assert set(pd.read_csv(copied["layers"])["curve"]) == {"own"}


@pytest.mark.parametrize("kind", [*KINDS, "matrix"])
@pytest.mark.parametrize("names", [["own", "own-1", "carried-2", "random-1"], ["own-1", "carried-1"]])
def test_copies_are_drawn_in_every_kind_of_figure(copied, kind, names):
    assert "a title" in drawn_svg(kind, names, copied)


@pytest.mark.parametrize("kind", [*KINDS, "matrix"])
def test_a_study_may_have_nothing_but_copies(copied, kind):
    curves = [curve for curve in COPIES if curve.copy == 1]
    inputs = tables_of(curves)
    assert "a title" in drawn_svg(kind, [curve.name for curve in curves], inputs)
    assert pd.read_csv(inputs["layers"]).empty and pd.read_csv(inputs["runs"])["moved_kept"].isna().all()


def failing(curves, seeds=(1, 2, 3)):
    """The tables of runs that all failed: no numbers but the headline's chance, and an empty curve."""
    for curve, seed in product(curves, seeds):
        for level in curve.levels:
            write_run(curve, seed, level, 0.1, "test_accuracy", "higher", 0.1)
            path = Path(curve.run(seed, level)) / "metrics.json"
            run = json.loads(path.read_text()) | {"status": "collapsed", "metrics": {"steps": 0}}
            path.write_text(json.dumps(run))
            (path.parent / "curve.csv").write_text("step\n")
            if (report := path.parent / "pruning.json").exists():
                known = json.loads(report.read_text())
                report.write_text(json.dumps(known | {"movement": {"kept": None, "pruned": None}}))
    return tables_of(curves)


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("metric", {"value": "training_reward"}, "no run has a number"),
        ("metric", {"value": "gap"}, "no run has a number"),
        ("difference", {}, "no ticket has a random one"),
        ("learning", {}, "no network of these levels"),
        ("movement", {}, "no weights of these curves"),
        ("layers", {"curves": ["other"]}, "has no row of these"),
        ("metric", {"curves": ["other"]}, "has no row of these"),
        ("matrix", {"curves": ["other"]}, "no target has tickets"),
    ],
)
def test_a_figure_without_anything_to_show_says_why(tmp_path, monkeypatch, kind, more, why):
    """It depends on the results, and is drawn once they are there."""
    monkeypatch.chdir(tmp_path)
    inputs = failing([CURVES[0]])
    text = drawn_svg(kind, more.pop("curves", ["winning"]), inputs, **more)
    words = " ".join(re.findall(r">([^<]*)</text>", text))
    assert "a title" in words and f"Nothing to draw: {why}" in words.replace("runs.csv ", "").replace(
        "layers.csv ", ""
    )


@pytest.mark.parametrize("kind", [*KINDS, "matrix"])
def test_a_failed_or_missing_run_is_marked_where_it_is_drawn(made, kind):
    """And nowhere else: a study whose runs all ended well has no mark."""
    names = ["winning"] if kind in ("layers", "movement") else ["winning", "transfer", "random"]
    marks = ("hollow: not all 3 runs ended well", "* not all 3 runs ended well", "2 of 3 ended well")
    assert not any(mark in drawn_svg(kind, names, made) for mark in marks)
    for seed, level in ((1, 2), (2, 1)):  # one failed, one missing
        folder = Path(CURVES[0].run(seed, level))
        run = json.loads((folder / "metrics.json").read_text()) | {"status": "diverged", "value": 0.1}
        (folder / "metrics.json").write_text(json.dumps(run))
    asked = {"study": "s", "seeds": [1, 2, 3], "curves": [vars(curve) for curve in CURVES]}
    rows = [row for row in tables.asked_rows(asked) if (row["curve"], row["seed"], row["level"]) != (
        "winning", 2, 1)]  # fmt: skip
    write_tables(asked, made, rows)
    text = drawn_svg(kind, names, made)
    assert any(mark in text for mark in marks)
    summary = pd.read_csv(made["summary"]).set_index(["curve", "level"])
    assert summary.loc["winning", 1]["n"] == 2 and summary.loc["winning", 2]["failed"] == 1


def test_the_dense_network_rewound_is_a_line_across_and_not_the_dense_run(tmp_path, monkeypatch):
    """A figure's `dense` is the mean of dense runs alone; the control has its own line, and hollow points."""
    monkeypatch.chdir(tmp_path)
    rewound = Curve("rewound", "t", "t", "imp", "lad", "dense-rewound", (0,))
    lines = {}
    axhline = Axes.axhline
    monkeypatch.setattr(
        Axes,
        "axhline",
        lambda axes, y, **more: lines.update({more["label"]: y}) or axhline(axes, y, **more),
    )
    for curve, seed in product((CURVES[0], rewound), (1, 2, 3)):
        for level in curve.levels:
            value = {"winning": 0.9, "rewound": 0.95}[curve.name] + 0.01 * seed - 0.1 * level
            write_run(curve, seed, level, value, "test_accuracy", "higher", 0.1)
    text = drawn_svg("metric", ["winning", "rewound"], tables_of([CURVES[0], rewound]))
    assert lines == pytest.approx({"dense": 0.92, "rewound": 0.97})
    assert text.count(">rewound</text>") == 1 and "hollow" not in text
    path = Path(rewound.run(2, 0)) / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "diverged"}))
    assert "hollow" in drawn_svg("metric", ["winning", "rewound"], tables_of([CURVES[0], rewound]))


def test_what_failed_runs_do_not_have_is_said_to_be_left_out(made):
    """Not to count at chance, which is of the metric; also where no run of a level is left to be hollow."""
    for name, seeds in (("winning", (1,)), ("random", (1, 2, 3))):
        for seed in seeds:
            folder = Path(next(curve for curve in CURVES if curve.name == name).run(seed, 2))
            run = json.loads((folder / "metrics.json").read_text()) | {"status": "collapsed", "value": 0.1}
            del run["metrics"]["train_accuracy"]
            (folder / "metrics.json").write_text(json.dumps(run))
            (folder / "curve.csv").write_text("step\n")
    inputs = tables_of(CURVES)
    for names in (["winning"], ["random"]):
        text = drawn_svg("metric", names, inputs, value="train_accuracy")
        assert "not all 3 runs ended well; failed ones are left out" in text
        assert "failed ones count at chance" in drawn_svg("metric", names, inputs)
    text = drawn_svg("learning", ["winning", "random"], inputs)
    assert "random, 40 %: no run has a curve" in text and "winning, 40 % (2 of 3 ended well)" in text
