"""Statistics over tasks, against values computed by other means; tables and figures of made-up studies."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lottery import figures, over_tasks
from lottery.study import Curve
from lottery.tables import write_tables
from matplotlib.axes import Axes
from scipy.stats import mannwhitneyu, norm, t, trim_mean


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("n", range(1, 14))
def test_the_interquartile_mean_is_a_trimmed_mean(rng, n):
    scores = rng.normal(size=(3, n))
    assert over_tasks.interquartile_mean(scores) == pytest.approx(trim_mean(scores, 0.25, axis=1))


def test_a_profile_counts_the_runs_above(rng):
    scores, at = rng.normal(size=(2, 12)), np.array([-1.0, 0.0, 0.3])
    scores[0, :3] = 0.3  # not above it
    counted = [[sum(score > one for score in row) / 12 for one in at] for row in scores]
    assert over_tasks.profile(scores, at).tolist() == counted


def test_the_probability_of_improvement_counts_pairs(rng):
    """Of runs of one task, ties half, mean over tasks; as Mann and Whitney's U says it too."""
    ours = [rng.integers(0, 5, size=n).astype(float) for n in (3, 4)]
    theirs = [rng.integers(0, 5, size=n).astype(float) for n in (5, 3)]
    of_tasks = []
    for our, their in zip(ours, theirs, strict=True):
        wins = [1.0 if x > y else 0.5 if x == y else 0.0 for x, y in itertools.product(our, their)]
        of_tasks.append(sum(wins) / len(wins))
        u = mannwhitneyu(our, their, method="asymptotic").statistic
        assert of_tasks[-1] == pytest.approx(u / (len(our) * len(their)))
    assert over_tasks.improvement(ours, theirs) == pytest.approx(np.mean(of_tasks))
    assert over_tasks.improvement(ours, ours) == 0.5


def test_the_interval_is_that_of_a_slow_bootstrap_within_tasks(rng):
    """Of four seeds of three tasks; ends by Hesterberg's (2015) formula from scipy's distributions."""
    scores = [mean + 0.1 * rng.normal(size=4) for mean in (0.2, 0.7, 0.9)]
    slow = []
    for _ in range(20_000):
        again = [rng.choice(task, size=4) for task in scores]
        slow.append(trim_mean(np.concatenate(again), 0.25))
    outside = norm.cdf(-((4 / 3) ** 0.5) * t.ppf(0.975, 9))
    assert outside == pytest.approx(0.0045, abs=1e-4)
    again = np.concatenate(over_tasks.resampled(scores), axis=-1)
    found = over_tasks.interval(over_tasks.interquartile_mean(again), scores)
    assert found == pytest.approx(np.quantile(slow, [outside, 1 - outside]), abs=0.015)
    assert over_tasks.resampled(scores)[2].tolist() == over_tasks.resampled(scores)[2].tolist()
    for task, drawn in zip(scores, over_tasks.resampled(scores), strict=True):
        assert set(np.unique(drawn)) == set(task)  # of its own runs only


@pytest.mark.parametrize(("tasks", "seeds", "least"), [(4, 3, 0.78), (8, 3, 0.88), (5, 10, 0.91)])
def test_intervals_cover_what_they_estimate(rng, monkeypatch, tasks, seeds, least):
    """At 95 %, less what three seeds cannot know, as the docstring says; and not nearly always."""
    monkeypatch.setattr(over_tasks, "RESAMPLES", 2_000)
    means, sds = np.linspace(0.2, 1.1, tasks), np.linspace(0.05, 0.2, tasks)
    many = [mean + sd * rng.normal(size=100_000) for mean, sd in zip(means, sds, strict=True)]
    truth, covered = trim_mean(np.concatenate(many), 0.25), []
    for number in range(300):
        scores = [mean + sd * rng.normal(size=seeds) for mean, sd in zip(means, sds, strict=True)]
        again = np.concatenate(over_tasks.resampled(scores, number), axis=-1)
        low, high = over_tasks.interval(over_tasks.interquartile_mean(again), scores)
        covered.append(low <= truth <= high)
    assert least <= np.mean(covered) <= 0.985


# --- made-up studies: an accuracy, chance 0.1; a log-perplexity, chance 8, lower is better

TASKS = {"up": ("test_accuracy", "higher", 0.1), "down": ("test_log_perplexity", "lower", 8.0)}
TASKS["third"] = TASKS["up"]
DENSE = {"up": 0.9, "down": 3.0, "third": 0.6}


def curves(tasks=tuple(TASKS)):
    found = {}
    for task in tasks:
        for kind, ticket, source in [
            ("own", "winning", task),
            ("carried", "winning", "s"),
            ("random",) * 2 + (task,),
        ]:
            levels = (0, 1, 2) if kind == "own" else (1, 2)
            found[f"{task}-{kind}"] = Curve(f"{task}-{kind}", task, source, "imp", "lad", ticket, levels)
        whole = Curve(f"{task}-whole", task, task, "imp", "lad", "dense-rewound", (0,))
        found[whole.name] = whole
    return found


SCORES = {
    "own": 0.9,
    "carried": 0.8,
    "random": 0.3,
    "whole": 1.1,
}  # at level 1 and seed 2; others are beside it


def score_of(kind, level, seed):
    if (kind, level) == ("own", 0):
        return 1.0 + 0.05 * (seed - 2)
    return SCORES[kind] - 0.1 * max(level - 1, 0) + 0.02 * (seed - 2)


def tables_of(made, seeds, left=lambda curve, seed, level: True):
    """The tables of runs with the scores above, in the working directory."""
    groups = [
        {"figure": "f", "group": kind, "curves": [name for name in made if name.endswith(f"-{kind}")]}
        for kind in SCORES
    ]
    for group in groups:
        random = group["group"] != "random"
        group["reference"] = "random" if random else ""
        group["against"] = [name for name in made if name.endswith("-random")] if random else []
        group["levels"] = [0] if group["group"] == "whole" else [1, 2]
    asked = {"study": "x", "seeds": list(seeds), "groups": groups}
    asked["curves"] = [vars(curve) for curve in made.values()]
    rows = []
    for curve, seed in itertools.product(made.values(), seeds):
        metric, better, chance = TASKS[curve.task]
        for level in curve.levels:
            score = score_of(curve.name.split("-")[1], level, seed)
            value = chance + score * (DENSE[curve.task] - chance)
            run = {
                "status": "ok",
                "reason": "",
                "metric": metric,
                "better": better,
                "value": value,
                "chance": chance,
            }
            run |= {"fraction_pruned": 0.2 * level, "fraction_pruned_of_all": 0.0, "metrics": {metric: value}}
            run |= {"kept": 100 - 20 * level, "prunable": 100} if level else {}
            folder = Path(curve.run(seed, level))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "metrics.json").write_text(json.dumps(run))
            report = {"movement": {"kept": 0.5, "pruned": 0.1}, "layers": {}, "fraction_pruned": 0.25}
            (folder / "pruning.json").write_text(json.dumps(report))
            if left(curve, seed, level):
                said = {"study": "x", "curve": curve.name, "target": curve.task, "source": curve.source}
                said |= {"recipe": "imp", "ladder": "lad", "ticket": curve.ticket, "copy": curve.copy}
                rows.append({**said, "seed": seed, "level": level, "run": curve.run(seed, level)})
    names = ("runs", "summary", "transfer", "layers", "tasks")
    paths = {name: str(Path(f"{name}.csv").resolve()) for name in names}
    write_tables(asked, paths, rows)
    return paths


def test_scores_are_between_chance_and_dense_whichever_way_is_better(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = pd.read_csv(tables_of(curves(), (1, 2, 3))["runs"])
    found, left_out = over_tasks.scored(runs)
    expected = [score_of(r.curve.split("-")[1], r.level, r.seed) for r in found.itertuples()]
    assert found["score"].tolist() == pytest.approx(expected) and not left_out
    assert len(found) == len(runs)


def test_the_table_has_a_row_for_each_group_and_level(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = pd.read_csv(tables_of(curves(), (1, 2, 3))["tasks"]).set_index(["group", "level"])
    assert set(table["tasks"]) == {3} and set(table["seeds"]) == {3} and not table["failed"].any()
    nine = np.repeat([0.88, 0.9, 0.92], 3)
    assert table.loc[("own", 1), "iqm"] == pytest.approx(trim_mean(nine, 0.25))
    assert table.loc[("own", 1), "ci_low"] < 0.9 < table.loc[("own", 1), "ci_high"]
    assert table.loc[("own", 1), "improvement"] == 1.0 and table.loc[("own", 1), "reference"] == "random"
    assert table.loc[("whole", 0), "iqm"] == pytest.approx(1.1)
    assert np.isnan(table.loc[("whole", 0), "improvement"])  # there are no random ones of level 0
    assert np.isnan(table.loc[("random", 1), "improvement"])
    assert table.loc[("own", 2), "fraction_pruned"] == pytest.approx(0.4)


def test_two_seeds_have_no_interval_and_a_missing_run_is_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two = pd.read_csv(tables_of(curves(), (1, 2))["tasks"])
    ends = [name for name in two if "_ci_" in name or name.startswith("ci_")]
    assert len(ends) == 4 and two[ends].isna().all(axis=None) and two["iqm"].notna().all()
    gone = lambda curve, seed, level: (curve.name, seed, level) != ("up-own", 2, 1)  # noqa: E731
    table = pd.read_csv(tables_of(curves(), (1, 2, 3), gone)["tasks"]).set_index(["group", "level"])
    assert table.loc[("own", 1), "seeds"] == 2 and np.isnan(table.loc[("own", 1), "ci_low"])
    assert table.loc[("own", 2), "seeds"] == 3 and table.loc[("own", 2), "ci_low"] > 0
    gone = lambda curve, seed, level: curve.name != "up-random"  # noqa: E731
    table = pd.read_csv(tables_of(curves(), (1, 2, 3), gone)["tasks"]).set_index(["group", "level"])
    assert np.isnan(table.loc[("own", 1), "improvement"]) and table.loc[("random", 1), "tasks"] == 2


@pytest.mark.parametrize(("task", "dense"), [("third", 0.1), ("down", 8.5), ("up", 0.05)])
def test_a_task_whose_dense_runs_learned_nothing_is_left_out_and_named(tmp_path, monkeypatch, task, dense):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DENSE, task, dense)
    inputs = tables_of(curves(), (1, 2, 3))
    table = pd.read_csv(inputs["tasks"])
    assert set(table["tasks"]) == {2} and set(table["left_out"]) == {task} and table["iqm"].notna().all()
    assert f"no better than chance: {task}" in drawn("tasks", inputs)[0]
    assert f"no better than chance: {task}" in drawn("profile", inputs)[0]
    inputs = tables_of(curves(("up", task) if task != "up" else ("up", "down")), (1, 2, 3))
    assert pd.read_csv(inputs["tasks"])["iqm"].isna().all()
    assert "Nothing to draw" in drawn("tasks", inputs)[0] and "Nothing to draw" in drawn("profile", inputs)[0]


def drawn(kind, inputs, **more):
    """The SVG of a figure, and its lines: label -> values."""
    names = list(dict.fromkeys(pd.read_csv(inputs["runs"])["curve"]))
    legend = {name: (name.split("-")[1], number) for number, name in enumerate(names)}
    figure = {
        "name": "f",
        "kind": kind,
        "x": "remaining",
        "title": "a title",
        "levels": [1, 2],
        "curves": names,
    }
    outputs = {suffix: str(Path(f"drawn.{suffix}").resolve()) for suffix in ("svg", "png")}
    lines, plot = {}, Axes.plot
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Axes,
            "plot",
            lambda axes, x, y, **a: lines.update({a.get("label"): np.array(y)}) or plot(axes, x, y, **a),
        )
        figures.draw({**figure, **more}, legend, inputs, outputs)
    return Path(outputs["svg"]).read_text(), lines


def test_figures_over_tasks_draw_one_line_a_label(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = tables_of(curves(), (1, 2, 3))
    text, lines = drawn("tasks", inputs)
    assert set(lines) == {"own", "carried", "random"}  # the dense network rewound is a line across
    assert all(
        text.count(f">{label}</text>") == 1 for label in ("own", "carried", "random", "whole", "dense")
    )
    assert lines["carried"] == pytest.approx([0.8, 0.7]) and "hollow" not in text
    text, lines = drawn("profile", inputs)
    at = np.linspace(0, 1, 201)
    nine = np.repeat([0.88, 0.9, 0.92], 3)
    assert lines["own, 80 %"] == pytest.approx([(nine > one).mean() for one in at], abs=0.34)
    assert lines["own, 80 %"][[0, 170, 190]] == pytest.approx([1, 1, 0])
    assert set(lines) == {f"{k}, {n} %" for k in ("own", "carried", "random") for n in (80, 60)}
    one = drawn("profile", inputs)[0]
    assert one == drawn("profile", inputs)[0] and "ended well" not in one


def test_a_failed_run_is_marked_in_figures_over_tasks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = tables_of(curves(), (1, 2, 3), lambda curve, seed, level: (curve.name, seed) != ("up-random", 2))
    assert "hollow: not all 3 runs" in drawn("tasks", inputs)[0]
    assert "not all 3 runs" in drawn("profile", inputs)[0]
