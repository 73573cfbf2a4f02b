"""Claims of papers, graded from a study's tables by one rule that is stated before the runs.

A claim compares two numbers of each seed, level by level: the difference is tested by Student's t over seeds,
in the claim's direction or, where it says `equal`, by two one-sided tests within its margin. Levels are
corrected for their number (Holm). The whole cannot pick its levels: each seed's mean difference over all of
them is tested once, and is *mixed* where it points one way and some level, corrected, the other.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .files import write_text
from .statistics import ALPHA, FEWEST, detectable, differs, equal, holm, interval

Claim = Mapping[str, Any]
Row = dict[str, Any]

SHOWN, NOT_SHOWN, CONTRARY, MIXED = "shown", "not shown", "contrary", "mixed"
TOO_FEW = "too few seeds"
KEYS = ["curve", "seed", "level"]
SAID = ["claim", "statement", "source", "curve", "value", "against", "expect", "margin"]
LEVEL, WHOLE = "level", "whole"
SAMPLING = ["examples", "standard_error"]


def grade_claims(
    study: str,
    claims: Sequence[Claim],
    seeds: Sequence[int],
    tables: Mapping[str, str],
    outputs: Mapping[str, str],
) -> None:
    """Write claims.csv, a row for each claim as a whole and for each of its levels, and a page of them.

    tables: runs and layers.csv, and those of the study's analyses by their names
    """
    wide = numbers({name: pd.read_csv(path) for name, path in tables.items()})
    rows = [{"study": study, **row} for claim in claims for row in grade(claim, seeds, wide)]
    table = pd.DataFrame(rows)
    table["level"] = table["level"].astype("Int64")
    write_text(outputs["claims"], table.to_csv(index=False, lineterminator="\n"))
    write_text(outputs["page"], page(study, len(seeds), table))


def numbers(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All numbers of the runs by curve, seed and level: the columns of runs.csv, `gap`, `layers.<tensor>`
    (its pruning rate over the overall rate), and `<analysis>.<number>`."""
    wide = tables["runs"].set_index(KEYS)
    if "train_accuracy" in wide:
        wide["gap"] = wide["train_accuracy"] - wide["value"]
    found = [wide]
    for name, table in tables.items():
        if name == "layers":
            table = table.pivot(index=KEYS, columns="layer", values="ratio_to_overall")
            found.append(table.add_prefix(f"{name}."))
        elif name != "runs":
            found.append(table.set_index(KEYS).select_dtypes("number").add_prefix(f"{name}."))
    return pd.concat(found, axis=1).sort_index()


def grade(claim: Claim, seeds: Sequence[int], wide: pd.DataFrame) -> list[Row]:
    """The claim's row as a whole, then one for each of its levels."""
    note, sides = "", [pd.DataFrame(index=list(seeds), columns=claim["levels"], dtype=float)] * 2
    try:
        sides = [_side(claim["left"], claim, seeds, wide), _side(claim["right"], claim, seeds, wide)]
    except KeyError as missing:
        note = f"no run has {missing.args[0]}"
    left, right = sides
    difference = left - right
    said = {key: claim[key] for key in SAID}
    of_levels = []
    for level in [] if "falls_to" in claim else claim["levels"]:
        runs = _runs(claim, [level], wide)
        row = {"remaining": _remaining(claim, level, runs), **_row(claim, left[level], right[level], runs)}
        of_levels.append({**said, "of": LEVEL, "level": level, **row})
    _correct(of_levels)
    complete = difference.dropna().index
    means = [side.loc[complete].mean(axis=1) for side in sides]
    whole = _row(claim, means[0], means[1], _runs(claim, claim["levels"], wide))
    whole["verdict"] = _as_a_whole(claim, whole, of_levels)
    absent = len(seeds) - len(complete)
    if absent and not note:
        note = f"{absent} of {len(seeds)} seeds lack a run, or a number, at some level"
    rows = [{**said, "of": WHOLE, "level": None, "remaining": None, **whole}, *of_levels]
    return [{**row, "note": note} for row in rows]


def _side(side: Row, claim: Claim, seeds: Sequence[int], wide: pd.DataFrame) -> pd.DataFrame:
    """One side's numbers [seeds, levels]. Raises KeyError for a curve or value that no run has."""
    levels = claim["levels"]
    if "constant" in side:
        return pd.DataFrame(side["constant"], index=list(seeds), columns=levels, dtype=float)
    if "falls_to" in claim:
        return _falls(side["curve"], claim["falls_to"], wide).reindex(list(seeds)).to_frame(levels[0])
    if side["curve"] not in wide.index.get_level_values("curve"):
        raise KeyError(f"curve {side['curve']}")
    found = wide.xs(side["curve"], level="curve")[[side["value"]]].unstack("level")[side["value"]]
    if side.get("level") is not None:
        if side["level"] not in found:
            raise KeyError(f"curve {side['curve']} at level {side['level']}")
        found = pd.DataFrame(dict.fromkeys(levels, found[side["level"]]))
    return found.reindex(index=list(seeds), columns=levels).astype(float)


def _falls(curve: str, share: float, wide: pd.DataFrame) -> pd.Series:
    """By seed, the first level at which a curve is below a share of the way from chance to the dense network;
    one more than its last where it never is."""
    runs = wide.xs(curve, level="curve").reset_index()
    dense = wide[(wide["source"] == runs["target"].iloc[0]) & (wide["ticket"] == "winning")]
    dense = dense[dense.index.get_level_values("level") == 0].groupby("seed")["value"].first()
    whole = runs["seed"].map(dense)
    runs["reached"] = (runs["value"] - runs["chance"]) / (whole - runs["chance"])
    runs = runs.dropna(subset="reached").sort_values("level")
    never = runs.groupby("seed")["level"].max() + 1
    return runs[runs["reached"] < share].groupby("seed")["level"].min().reindex(never.index).fillna(never)


def _runs(claim: Claim, levels: Sequence[int], wide: pd.DataFrame) -> pd.DataFrame:
    """The runs of both sides at some levels."""
    found = wide.iloc[:0]
    for side in (claim["left"], claim["right"]):
        at = levels if side.get("level") is None else [side["level"]]
        chosen = wide.index.isin([side.get("curve")], level="curve") & wide.index.isin(at, level="level")
        found = pd.concat([found, wide[chosen]])
    return found[~found.index.duplicated()]


def _remaining(claim: Claim, level: int, runs: pd.DataFrame) -> float:
    """The fraction of the weights that the claim's curve has left at a level."""
    own = runs.index.isin([claim["left"]["curve"]], level="curve") & runs.index.isin([level], level="level")
    return float(1 - runs[own]["fraction_pruned"].mean())


def _row(claim: Claim, left: pd.Series, right: pd.Series, runs: pd.DataFrame) -> Row:
    """Means, difference with its interval, and p values for the claim and for its contrary; runs that did not
    end well count at chance."""
    both = (left - right).dropna()
    values = both.to_numpy(dtype=float)
    headline = claim["value"] == "value" and "falls_to" not in claim
    of_tests = runs if headline and "standard_error" in runs else pd.DataFrame(columns=SAMPLING, dtype=float)
    examples, error = (float(of_tests[name].mean()) for name in SAMPLING)
    low, high = interval(values)
    for_it, against_it = _tested(claim, values, 0.0 if np.isnan(error) else error)
    return {
        "n": len(values),
        "mean": left[both.index].mean(),
        "against_mean": right[both.index].mean(),
        "difference": values.mean() if len(values) else np.nan,
        "ci_low": low,
        "ci_high": high,
        "p": for_it,
        "p_contrary": against_it,
        "detectable": detectable(values),
        "examples": examples,
        "standard_error": error,
        "failed": int((runs["status"] != "ok").sum()),
        "verdict": _verdict(len(values), for_it, against_it),
    }


def _tested(claim: Claim, values: np.ndarray, resolution: float) -> tuple[float, float]:
    """p values for the claim and for its contrary."""
    if claim["expect"] == "equal":
        return equal(values, claim["margin"], resolution)
    return differs(values if claim["expect"] == "higher" else -values, claim["margin"], resolution)


def _verdict(n: int, for_it: float, against_it: float) -> str:
    if n < FEWEST:
        return TOO_FEW
    return SHOWN if for_it < ALPHA else CONTRARY if against_it < ALPHA else NOT_SHOWN


def _correct(rows: list[Row]) -> None:
    """Correct the p values of the levels for their number, and grade each anew."""
    for key in ("p", "p_contrary"):
        for row, corrected in zip(rows, holm([row[key] for row in rows]), strict=True):
            row[key] = corrected
    for row in rows:
        row["verdict"] = _verdict(row["n"], row["p"], row["p_contrary"])


def _as_a_whole(claim: Claim, whole: Row, levels: Sequence[Row]) -> str:
    """The whole's own verdict, unless some level, corrected, points the other way."""
    verdict, found = str(whole["verdict"]), {row["verdict"] for row in levels}
    if verdict == TOO_FEW:
        return verdict
    beyond = whole["difference"] if claim["expect"] == "higher" else -whole["difference"]
    if verdict == NOT_SHOWN and claim["expect"] == "equal":
        leans = {SHOWN, CONTRARY}  # it points nowhere: mixed where levels point both ways
        return MIXED if leans <= found else verdict
    lean = SHOWN if verdict == SHOWN or (verdict == NOT_SHOWN and beyond > claim["margin"]) else CONTRARY
    return MIXED if {SHOWN: CONTRARY, CONTRARY: SHOWN}[lean] in found else verdict


COLOURS = {SHOWN: "#009E73", CONTRARY: "#D55E00", MIXED: "#CC79A7", NOT_SHOWN: "#777777", TOO_FEW: "#777777"}
HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px/1.4 sans-serif; margin: 2em; max-width: 70em }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ white-space: nowrap; border-bottom: 1px solid #ddd; padding: .3em .5em; text-align: right }}
td:first-child, th:first-child {{ text-align: left }}
details {{ margin: .7em 0 }} summary {{ cursor: pointer }} .paper {{ color: #777 }}
</style></head><body><h1>{title}</h1>
<p>{rule}</p>
"""
RULE = (
    "Differences are paired over {seeds} seeds, with 95 % intervals (Student's t). A level's verdict is "
    "corrected for the number of levels (Holm); the whole is each seed's mean difference over all levels, "
    "tested once. Could have shown: the true difference that as many seeds of this spread would show in four "
    "of five repetitions. Test set: of how many examples or games a value is the mean, and the standard "
    "error of that mean."
)


def page(study: str, seeds: int, table: pd.DataFrame) -> str:
    """The claims as a page: each with its verdict, and its levels below it."""
    title = html.escape(f"Claims of {study}")
    parts = [HEAD.format(title=title, rule=RULE.format(seeds=seeds))]
    for _, rows in table.groupby("claim", sort=False):
        whole = rows.iloc[0]
        colour = COLOURS[whole["verdict"]]
        note = f"<p>{html.escape(str(whole['note']))}</p>" if whole["note"] else ""
        parts.append(
            f'<details><summary><b style="color:{colour}">{whole["verdict"]}</b> '
            f'{html.escape(whole["statement"])} <span class="paper">{html.escape(whole["source"])}; '
            f"{_sentence(whole)}</span></summary>{note}{_levels(rows)}</details>"
        )
    return "\n".join([*parts, "</body></html>\n"])


def _sentence(whole: pd.Series) -> str:
    """What is compared with what, what is expected, and what came out."""
    value = "" if whole["value"] == "value" else f"{whole['value']} of "
    margin = f" (margin {whole['margin']:g})" if whole["margin"] else ""
    compared = f"{value}{whole['curve']} against {whole['against']}, expected {whole['expect']}{margin}"
    found = f"{_number(whole['difference'], '+')} {_between(whole, '({})')}, n = {whole['n']}"
    return html.escape(f"{compared}: {found}")


def _between(row: pd.Series, form: str = "{}") -> str:
    known = pd.notna(row["ci_low"])
    return form.format(f"{row['ci_low']:+.3g} to {row['ci_high']:+.3g}") if known else ""


def _levels(rows: pd.DataFrame) -> str:
    names = ["weights left", "value", "against", "difference", "95 % interval", "p", "could have shown", "n"]
    names += ["failed", "test set", "verdict"]
    lines = ["".join(f"<th>{name}</th>" for name in names)]
    for _, row in rows.iterrows():
        left = "all levels" if row["of"] == WHOLE else f"{100 * row['remaining']:.3g} %"
        p = row[["p", "p_contrary"]].min()
        test = f"{row['examples']:,.0f} (± {row['standard_error']:.2g})" if pd.notna(row["examples"]) else ""
        cells = [left, _number(row["mean"]), _number(row["against_mean"]), _number(row["difference"], "+")]
        cells += [
            _between(row),
            _number(p),
            _number(row["detectable"]),
            str(row["n"]),
            str(row["failed"]),
            test,
        ]
        cells.append(f'<span style="color:{COLOURS[row["verdict"]]}">{row["verdict"]}</span>')
        lines.append("".join(f"<td>{cell}</td>" for cell in cells))
    return "<table>" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None or pd.isna(value) else f"{value:{sign}.3g}"
