"""Claims: graded as their rule says, from made-up runs; and every study's own, shown and contradicted."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import yaml
from conftest import REPO, STUDY, TINY
from lottery.claims import grade, numbers
from lottery.errors import InputError
from lottery.study import read_study

SEEDS = (1, 2, 3)
LEFT, RIGHT = {"curve": "a", "value": "value"}, {"curve": "b", "value": "value", "level": None}
CLAIM = {"claim": "c", "statement": "a is better", "source": "a paper", "curve": "a", "value": "value"}
CLAIM |= {"against": "b", "expect": "higher", "margin": 0, "levels": [1, 2], "left": LEFT, "right": RIGHT}


def wide(values, **columns):
    """Runs whose values are given as {(curve, level): one a seed}; level 0 is the dense run."""
    rows = []
    for (curve, level), several in values.items():
        for seed, value in zip(SEEDS, several, strict=False):
            row = {
                "curve": curve,
                "seed": seed,
                "level": level,
                "value": value,
                "fraction_pruned": 0.2 * level,
            }
            row |= {
                "status": "ok",
                "chance": 0.1,
                "source": "t",
                "target": "t",
                "ticket": "winning",
                **columns,
            }
            rows.append(row)
    return numbers({"runs": pd.DataFrame(rows)})


def verdicts(claim, runs, seeds=SEEDS):
    """Of the whole, then of each level."""
    return [row["verdict"] for row in grade(claim, seeds, runs)]


ABOVE, BELOW, NOISE = (0.91, 0.92, 0.93), (0.51, 0.53, 0.54), (0.9, 0.5, 0.1)


def test_a_difference_that_all_seeds_share_is_shown_and_its_opposite_contrary():
    runs = wide({("a", 1): ABOVE, ("b", 1): BELOW, ("a", 2): ABOVE, ("b", 2): BELOW})
    assert verdicts(CLAIM, runs) == ["shown"] * 3
    assert verdicts({**CLAIM, "expect": "lower"}, runs) == ["contrary"] * 3
    assert verdicts({**CLAIM, "margin": 0.5}, runs) == ["contrary"] * 3, "not more by as much as is claimed"
    assert verdicts({**CLAIM, "right": {"constant": 0.8}}, runs) == ["shown"] * 3


def test_what_stands_in_a_row_is_the_paired_test():
    left, right = ((0.8, 0.7, 0.9), (0.9, 0.8, 0.7)), ((0.5, 0.6, 0.55), (0.6, 0.4, 0.55))
    runs = wide({("a", 1): left[0], ("b", 1): right[0], ("a", 2): left[1], ("b", 2): right[1]})
    whole, *levels = grade(CLAIM, SEEDS, runs)
    p = [scipy.stats.ttest_rel(one, other).pvalue for one, other in zip(left, right, strict=True)]
    corrected = [min(1, 2 * min(p)), max(2 * min(p), max(p))]
    assert sorted(row["p"] for row in levels) == pytest.approx(sorted(corrected))
    differences = np.subtract(left, right).mean(axis=0)
    assert whole["difference"] == pytest.approx(differences.mean())
    assert whole["p"] == pytest.approx(scipy.stats.ttest_1samp(differences, 0).pvalue)
    ends = scipy.stats.t.interval(0.95, 2, differences.mean(), scipy.stats.sem(differences))
    assert (whole["ci_low"], whole["ci_high"]) == pytest.approx(ends)
    assert [row["remaining"] for row in levels] == pytest.approx([0.8, 0.6])
    # of the level, not the mean of both sides
    runs = wide({("a", 0): left[0], ("a", 1): left[0], ("a", 2): left[1]})
    dense = {"curve": "a", "value": "value", "level": 0}
    levels = grade({**CLAIM, "right": dense}, SEEDS, runs)[1:]
    assert [row["remaining"] for row in levels] == pytest.approx([0.8, 0.6])


def test_noise_is_not_shown_and_not_called_equal():
    runs = wide({("a", 1): NOISE, ("b", 1): NOISE[::-1], ("a", 2): NOISE, ("b", 2): NOISE[::-1]})
    assert verdicts(CLAIM, runs) == ["not shown"] * 3
    assert verdicts({**CLAIM, "expect": "equal", "margin": 0.1}, runs) == ["not shown"] * 3


def test_equal_is_shown_within_its_margin_only():
    close = {("a", 1): (0.900, 0.910, 0.920), ("b", 1): (0.901, 0.909, 0.921)}
    runs = wide({**close, ("a", 2): close["a", 1], ("b", 2): close["b", 1]})
    assert verdicts({**CLAIM, "expect": "equal", "margin": 0.01}, runs) == ["shown"] * 3
    assert verdicts({**CLAIM, "expect": "equal", "margin": 0.0005}, runs) == ["not shown"] * 3
    far = wide({("a", 1): ABOVE, ("b", 1): BELOW, ("a", 2): ABOVE, ("b", 2): BELOW})
    assert verdicts({**CLAIM, "expect": "equal", "margin": 0.01}, far) == ["contrary"] * 3


def test_a_level_that_points_the_other_way_makes_the_whole_mixed():
    runs = wide(
        {("a", 1): ABOVE, ("b", 1): BELOW, ("a", 2): (0.50, 0.51, 0.52), ("b", 2): (0.55, 0.57, 0.56)}
    )
    assert verdicts(CLAIM, runs) == ["mixed", "shown", "contrary"]
    assert verdicts({**CLAIM, "expect": "lower"}, runs) == ["mixed", "contrary", "shown"]
    away = {("a", 1): ABOVE, ("b", 1): BELOW, ("a", 2): BELOW, ("b", 2): (0.91, 0.92, 0.90)}
    assert verdicts({**CLAIM, "expect": "equal", "margin": 0.1}, wide(away))[0] == "mixed", "equal on average"


def test_levels_are_corrected_for_their_number():
    """One of twelve levels below 0.05 is what chance gives."""
    rng = np.random.default_rng(3)
    levels = list(range(1, 13))
    runs = wide({(c, level): tuple(rng.normal(0.5, 0.01, 3)) for c in "ab" for level in levels})
    close = runs.loc[("b", slice(None), 5), "value"].to_numpy()
    runs.loc[("a", slice(None), 5), "value"] = close + np.array([0.02, 0.021, 0.026])
    _, *rows = grade({**CLAIM, "levels": levels}, SEEDS, runs)
    assert rows[4]["verdict"] == "not shown"
    assert grade({**CLAIM, "levels": [5]}, SEEDS, runs)[1]["verdict"] == "shown"


def test_two_seeds_a_failed_one_and_a_missing_curve_get_an_honest_verdict(tmp_path):
    runs = {("a", 1): ABOVE, ("b", 1): BELOW, ("a", 2): ABOVE, ("b", 2): BELOW}
    two = wide({key: values[:2] for key, values in runs.items()})
    assert verdicts(CLAIM, two, (1, 2)) == ["too few seeds"] * 3
    assert np.isnan(grade(CLAIM, (1, 2), two)[0]["ci_low"])
    lost = wide({**runs, ("a", 2): ABOVE[:2]})
    rows = grade(CLAIM, SEEDS, lost)
    assert [row["verdict"] for row in rows] == ["too few seeds", "shown", "too few seeds"]
    assert rows[0]["note"] == "1 of 3 seeds lack a run, or a number, at some level" and rows[0]["n"] == 2
    failed = wide(runs)
    failed.loc[("b", 3, 1), "status"] = "diverged"
    assert [row["failed"] for row in grade(CLAIM, SEEDS, failed)] == [1, 1, 0]
    rows = grade({**CLAIM, "right": {**RIGHT, "curve": "none"}}, SEEDS, wide(runs))
    assert {row["verdict"] for row in rows} == {"too few seeds"} and "curve none" in rows[0]["note"]
    rows = grade({**CLAIM, "right": {**RIGHT, "level": 0}}, SEEDS, wide(runs))
    assert {row["verdict"] for row in rows} == {"too few seeds"}
    assert rows[0]["note"] == "no run has curve b at level 0"
    rows = grade({**CLAIM, "left": {**LEFT, "value": "layers.fc9"}, "value": "layers.fc9"}, SEEDS, wide(runs))
    assert {row["verdict"] for row in rows} == {"too few seeds"} and "layers.fc9" in rows[0]["note"]


def test_values_without_spread_are_held_against_what_the_test_set_resolves():
    same = {("a", 1): (0.91,) * 3, ("b", 1): (0.9,) * 3, ("a", 2): (0.91,) * 3, ("b", 2): (0.9,) * 3}
    assert verdicts(CLAIM, wide(same, examples=100, standard_error=0.03)) == ["not shown"] * 3
    runs = wide(same, examples=10000, standard_error=0.003)
    assert verdicts(CLAIM, runs) == ["shown"] * 3
    row = grade(CLAIM, SEEDS, runs)[0]
    assert (row["examples"], row["standard_error"]) == (10000, pytest.approx(0.003))


def test_one_level_another_value_and_where_a_curve_falls():
    runs = wide(
        {("a", 0): ABOVE, ("a", 1): BELOW, ("a", 2): BELOW, ("b", 1): ABOVE, ("b", 2): ABOVE, ("b", 3): BELOW}
    )
    runs["moved"] = runs["value"] + 1
    at_0 = {**CLAIM, "expect": "lower", "right": {"curve": "a", "value": "value", "level": 0}}
    assert verdicts(at_0, runs) == ["shown"] * 3
    assert (
        verdicts({**CLAIM, "expect": "lower", "right": {**RIGHT, "curve": "a", "value": "moved"}}, runs)
        == ["shown"] * 3
    )
    falls = {**CLAIM, "falls_to": 0.8, "expect": "lower"}
    (row,) = grade(falls, SEEDS, runs)
    assert (row["mean"], row["against_mean"], row["verdict"]) == (1, 3, "shown")
    assert grade({**falls, "falls_to": 0.01}, SEEDS, runs)[0]["mean"] == 3, (
        "never: one more than its last level"
    )


def test_layers_and_analyses_are_numbers_too():
    runs = pd.DataFrame([{"curve": "a", "seed": 1, "level": 1, "value": 0.5, "train_accuracy": 0.9}])
    layers = pd.DataFrame([{"curve": "a", "seed": 1, "level": 1, "layer": "fc1", "ratio_to_overall": 1.2}])
    barrier = pd.DataFrame([{"curve": "a", "seed": 1, "level": 1, "task": "t", "error": 0.3}])
    found = numbers({"runs": runs, "layers": layers, "barrier": barrier}).loc["a", 1, 1]
    assert found[["gap", "layers.fc1", "barrier.error"]].tolist() == pytest.approx([0.4, 1.2, 0.3])


def claim(**changes):
    return {
        "name": "better",
        "statement": "<Better>",
        "source": "A paper 2020",
        "curve": "winning",
        "expect": "better",
    } | changes


def test_a_claim_changed_in_the_config_is_graded_again_and_trains_nothing(workspace):
    workspace.study["seeds"] = [1, 2, 3]
    workspace.study["claims"] = [claim(against="random"), claim(name="half", against=0.5, levels=[2])]
    workspace.write()
    workspace.snakemake()
    folder = workspace.path / "results/tables/tiny"
    found = pd.read_csv(folder / "claims.csv")
    assert found["claim"].tolist() == ["better"] * 3 + ["half"] * 2
    assert found["of"].tolist() == ["whole", "level", "level", "whole", "level"]
    assert set(found["verdict"]) <= {"shown", "not shown", "contrary", "mixed"} and set(found["n"]) == {3}
    runs = pd.read_csv(folder / "runs.csv").set_index(["curve", "level"])["value"]
    expected = runs.loc["winning", 1].mean() - runs.loc["random", 1].mean()
    assert found["difference"][1] == pytest.approx(expected)
    assert set(found["examples"]) == {360.0} and found["standard_error"].between(0.005, 0.03).all()
    assert "&lt;Better&gt;" in (folder / "claims.html").read_text()
    workspace.study["claims"][0]["expect"] = "worse"
    assert workspace.planned() == {"claims": 1}
    del workspace.study["claims"]
    assert workspace.planned() == {}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"against": "randm"}, "against: curve 'randm' is unknown; did you mean 'random'?"),
        ({"curve": "wining"}, "curve 'wining' is unknown; did you mean 'winning'?"),
        ({}, "needs against, against_value or against_level: what to compare with"),
        (
            {"against": "random", "levels": [3]},
            "levels: found 3, at which its curves have no runs to compare",
        ),
        (
            {"against": "random", "levels": [0]},
            "levels: found 0, at which its curves have no runs to compare",
        ),
        ({"against_level": 3}, "against_level: curve winning has no level 3"),
        (
            {"against": "random", "value": "stepps"},
            "value: found 'stepps', allowed for curve winning: value, gap,",
        ),
        (
            {"against": "random", "value": "steps"},
            "expect: found better, allowed for steps: higher, lower, equal",
        ),
        (
            {"against": "random", "expect": "equal"},
            "margin: equal needs one above 0, within which two numbers are",
        ),
        (
            {"against": "random", "expect": "much"},
            "expect: found 'much', allowed: better, worse, higher, lower,",
        ),
        ({"against": "random", "falls_to": 1}, "falls_to: found 1"),
        (
            {"against": "dense", "falls_to": 0.5},
            "falls_to: found against: dense, allowed beside it: against,",
        ),
        ({"against": "random", "falls_to": 0.5, "levels": [1]}, "falls_to: found levels, allowed beside it:"),
        ({"against": "random", "falls_to": 0.5, "value": "steps"}, "falls_to: found value, allowed beside"),
        ({"curve": "random", "value": "layers.fc1.weight", "against": 1}, "has no masks of its own"),
    ],
)
def test_a_claim_that_can_never_be_graded_is_refused_when_planned(tmp_path, changes, message):
    folder = tmp_path / "config"
    shutil.copytree(REPO / "config", folder)
    (folder / "tasks/tiny.yaml").write_text(yaml.safe_dump({"tiny": TINY}))
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        read_study({**STUDY, "claims": [claim(**changes)]}, folder)
    assert str(refused.value).startswith("study tiny: claim better: ") or "claims" in str(refused.value)


def test_curves_that_a_study_is_without_stay_named_in_its_claims(tmp_path):
    folder = tmp_path / "config"
    shutil.copytree(REPO / "config", folder)
    other = {**TINY, "dataset": "digits-b"}
    (folder / "tasks/tiny.yaml").write_text(yaml.safe_dump({"tiny": TINY, "tiny-b": other}))
    curves = [*STUDY["curves"], {"name": "b", "task": "tiny-b", "recipe": "imp"}]
    study = read_study(
        {**STUDY, "curves": curves, "claims": [claim(against="b")], "without": ["digits-b"]}, folder
    )
    rows = grade(study.claims[0], SEEDS, wide({("winning", 1): ABOVE, ("winning", 2): ABOVE}))
    assert {row["verdict"] for row in rows} == {"too few seeds"} and rows[0]["note"] == "no run has curve b"


# the claims of every study


STUDIES = sorted(
    path.relative_to(REPO / "config/studies").with_suffix("").as_posix()
    for path in (REPO / "config/studies").rglob("*.yaml")
)


def study_of(name):
    path = REPO / ("config/config.yaml" if name == "config" else f"config/studies/{name}.yaml")
    return read_study(yaml.safe_load(path.read_text()), REPO / "config")


ENDED_WELL = {
    "status": "ok",
    "fraction_pruned": 0.5,
    "chance": 0.0,
    "ticket": "winning",
    "source": "t",
    "target": "t",
}


def synthetic(claim, seeds, sign):
    """Runs of a claim's curves, in which each level is as it says (sign 1), or the opposite."""
    rng, rows = np.random.default_rng(0), {}
    beyond = {"higher": 1, "lower": -1, "equal": 0}[claim["expect"]] * sign
    away = 0.0 if claim["expect"] == "equal" and sign > 0 else (claim["margin"] + 1) * (beyond or 1)
    if claim["expect"] != "equal":
        away = beyond * 1.0 + (claim["margin"] if claim["expect"] == "higher" else -claim["margin"])
    left, right = claim["left"], claim["right"]
    noise = 1e-4 * min(1.0, abs(claim["margin"]) or 1.0)
    for seed in seeds:
        base = right.get("constant", 5.0)
        for level in {0, *claim["levels"], right.get("level") or 0}:
            if "curve" in right:
                rows.setdefault((right["curve"], seed, level), {})[right["value"]] = base
        for level in claim["levels"]:
            own = rows.setdefault((left["curve"], seed, level), {})
            if (left["curve"], left["value"], level) != (
                right.get("curve"),
                right.get("value"),
                right.get("level"),
            ):
                own[left["value"]] = base + away + rng.normal(0, noise)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["curve", "seed", "level"])
    return table.assign(**ENDED_WELL)


def falling(claim, seeds, sign):
    """Runs of which one curve falls at level 1, and the other never."""
    late = claim["left"]["curve"] if (claim["expect"] == "higher") == (sign > 0) else claim["right"]["curve"]
    rows = [
        {"curve": curve, "seed": seed, "level": level, "value": 1.0 if level == 0 or curve == late else 0.0}
        for curve in (claim["left"]["curve"], claim["right"]["curve"])
        for seed in seeds
        for level in (0, *claim["levels"])
    ]
    return numbers({"runs": pd.DataFrame(rows).assign(**ENDED_WELL)})


@pytest.mark.parametrize("name", ["config", *STUDIES])
def test_every_study_states_claims_and_runs_that_show_or_contradict_them_are_graded_so(name):
    study = study_of(name)
    assert study.claims, "a study says what it is to show"
    graded = 0
    for claim in study.claims:
        assert re.search(r"\d{4}", claim["source"]), f"{claim['claim']}: a claim stands in a paper"
        if not {side["curve"] for side in (claim["left"], claim["right"]) if "curve" in side} <= set(
            study.curves
        ):
            continue  # of a curve that the study is without
        graded += 1
        seeds = study.seeds if len(study.seeds) >= 3 else (1, 2, 3)
        for sign, verdict in ((1, "shown"), (-1, "contrary")):
            runs = (falling if "falls_to" in claim else synthetic)(claim, seeds, sign)
            found = grade(claim, seeds, runs)
            assert {row["verdict"] for row in found} == {verdict}, (claim["claim"], found)
    assert graded
