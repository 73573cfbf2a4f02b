"""Tidy tables of a study: a row per run, a row per curve and level, a row per layer."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import addresses
from .addresses import file
from .belonging import refuse_strays, strays
from .endings import anew
from .files import write_text
from .over_tasks import task_table
from .statistics import interval
from .study import Curve
from .tickets import RANDOM, WINNING

FIRST = ["study", "curve", "target", "source", "recipe", "ticket", "seed", "level", "copy"]
FIRST += ["kept", "prunable", "fraction_pruned", "fraction_pruned_of_all"]
FIRST += ["metric", "value", "better", "chance", "status", "reason"]

Row = dict[str, Any]


def make_tables(asked: Mapping[str, Any], mine: str, outputs: Mapping[str, str]) -> None:
    """Write the tables of a study, whose file of what it asks for is `mine`.

    Raises InputError for a run that is not the study's, or of files that do not belong together."""
    refuse_strays(strays(asked), Path(addresses.stale(asked["study"])), anew)
    write_tables(asked, outputs)
    shutil.rmtree(addresses.partial(asked["study"]), ignore_errors=True)
    for other in Path(mine).parent.glob(Path(addresses.asked("", "*")).name):
        if other != Path(mine):
            other.unlink()


def write_tables(
    asked: Mapping[str, Any], outputs: Mapping[str, str], rows: Sequence[Row] | None = None
) -> None:
    """Write runs, summary, transfer and layers.csv from the JSON files of the runs that a study asked for,
    or of `rows` alone.

    Only a study that has copies has a column of their numbers, and one with figures over tasks tasks.csv.
    """
    rows = list(asked_rows(asked)) if rows is None else rows
    runs = run_table(rows)
    summary = summary_table(runs)
    tables = {"runs": runs, "summary": summary, "transfer": transfer_table(summary)}
    if "groups" in asked:
        tables["tasks"] = task_table(asked["study"], runs, asked["groups"])
    unsaid = ["ladder"] if runs["copy"].any() else ["ladder", "copy"]
    for name, table in tables.items():
        write_csv(outputs[name], table.drop(columns=unsaid, errors="ignore"))
    write_csv(outputs["layers"], layer_table(rows))


def asked_rows(asked: Mapping[str, Any]) -> Iterator[Row]:
    """What a study says of each of its runs, and where the run is."""
    for entry in asked["curves"]:
        curve = Curve(**entry)
        said = {"study": asked["study"], "curve": curve.name, "target": curve.task, "source": curve.source}
        said |= {"recipe": curve.recipe, "ladder": curve.ladder, "ticket": curve.ticket}
        for seed in asked["seeds"]:
            for level in curve.levels:
                run = curve.run(seed, level)
                yield {**said, "seed": seed, "level": level, "copy": curve.copy, "run": run}


def write_csv(path: str, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def _read(run: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(file(run, name)).read_text())
    return content


def run_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One row per run: FIRST, then the run's other metrics and how far its weights moved."""
    found = []
    for row in rows:
        run = _read(row["run"], "metrics")
        found.append(
            {
                **row,
                **{key: run.get(key) for key in FIRST if key in run and key not in row},
                **{key: value for key, value in run["metrics"].items() if key != run["metric"]},
                **_movement(row),
            }
        )
    table = pd.DataFrame(found)
    _fill_dense(table)
    return table[FIRST + [column for column in table if column not in FIRST]]


def _fill_dense(table: pd.DataFrame) -> None:
    """Level 0 prunes nothing: its kept and prunable counts are those of its target and ladder."""
    for column in ("kept", "prunable"):
        if column not in table:
            table[column] = np.nan
    prunable = table.groupby(["target", "ladder"])["prunable"].transform("max")
    for column in ("kept", "prunable"):
        table[column] = table[column].fillna(prunable).astype("Int64")


def _of_lineage(row: Row) -> bool:
    """Whether a run is a lineage's own pruned level, or a copy of one."""
    return bool(row["level"] > 0 and row["ticket"] == WINNING and row["source"] == row["target"])


def _movement(row: Row) -> dict[str, float | None]:
    """Distances moved in the training from which this level's mask was pruned; a copy has none."""
    if not _of_lineage(row):
        return {}
    if row["copy"]:
        return {"moved_kept": np.nan, "moved_pruned": np.nan}
    moved = _read(row["run"], "pruning")["movement"]
    return {f"moved_{which}": np.nan if moved[which] is None else moved[which] for which in moved}


def summary_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean, sample standard deviation, n and interval by curve and level, and by how much it is better than
    the random ticket and than the target's own winning ticket, if it is not that itself."""
    random, own = references(runs, RANDOM), references(runs, WINNING)
    keys = ["study", "curve", "target", "source", "recipe", "ticket", "level", "copy"]
    found = []
    for key, group in runs.groupby(keys, sort=False):
        values = group["value"].to_numpy(dtype=float)
        low, high = interval(values)
        said = group.iloc[0]
        is_own = said["source"] == said["target"] and said["ticket"] == WINNING
        found.append(
            {
                **dict(zip(keys, key, strict=True)),
                **{name: said[name] for name in ("kept", "prunable", "fraction_pruned", "metric", "better")},
                "n": len(values),
                "mean": values.mean(),
                "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
                "ci_low": low,
                "ci_high": high,
                "failed": int((group["status"] != "ok").sum()),
                **difference("difference", group, random if said["ticket"] != RANDOM else {}),
                **difference("own_difference", group, own if not is_own else {}),
            }
        )
    return pd.DataFrame(found)


PAIRED = ["target", "ladder", "seed", "level"]
COMPARED = ["recipe", "ticket", "copy", "kept", "value", "better"]
References = dict[tuple[Any, ...], list[Row]]


def references(runs: pd.DataFrame, ticket: str) -> References:
    """The runs of a target's own tickets of one kind, by what a run has to share to be compared with them."""
    found: References = {}
    chosen = runs[(runs["ticket"] == ticket) & ((ticket == RANDOM) | (runs["source"] == runs["target"]))]
    for row in _records(chosen):
        found.setdefault(tuple(row[name] for name in PAIRED), []).append(row)
    return found


def _records(runs: pd.DataFrame) -> list[Row]:
    records: list[Any] = runs[[*PAIRED, *COMPARED]].to_dict("records")
    return records


def difference(name: str, group: pd.DataFrame, reference: References) -> Row:
    """Mean difference to the reference, paired over the seeds that both have at the same kept count; positive
    where the group is better.

    A recipe is compared with itself if it can be, else with the first of its ladder that the study asks for;
    a copy with the same copy, else with copy 0.
    """
    differences = []
    for row in _records(group[group["level"] > 0]):
        others = [o for o in reference.get(tuple(row[k] for k in PAIRED), []) if _comparable(row, o)]
        others.sort(key=lambda other: _distance(row, other))
        if others:
            differences.append(_gain(row, others[0]))
    low, high = interval(np.array(differences))
    return {
        f"{name}_n": len(differences),
        name: np.mean(differences) if differences else np.nan,
        f"{name}_ci_low": low,
        f"{name}_ci_high": high,
    }


def _comparable(row: Row, other: Row) -> bool:
    return bool(other["kept"] == row["kept"] and other["copy"] in (row["copy"], 0))


def _distance(row: Row, other: Row) -> tuple[bool, bool]:
    """Orders references, the nearest first: by recipe, which is nothing to a random ticket, then by copy."""
    recipe = other["ticket"] != RANDOM and other["recipe"] != row["recipe"]
    return recipe, other["copy"] != row["copy"]


def _gain(row: Row, other: Row) -> float:
    """How much better a run is than another of the same target."""
    better, worse = (other, row) if row["better"] == "lower" else (row, other)
    return float(better["value"] - worse["value"])


def transfer_table(summary: pd.DataFrame) -> pd.DataFrame:
    """The matrix of sources and targets at each level: what tickets reach, and how far that is from the
    target's own and from random ones (Morcos et al. 2019, figures 2 to 5)."""
    table = summary[(summary["ticket"] == WINNING) & (summary["level"] > 0)]
    carried = table[table["source"] != table["target"]][["target", "level"]].drop_duplicates()
    said = ["study", "target", "source", "recipe", "level", "copy", "fraction_pruned", "metric", "better"]
    columns = [*said, *table.columns[table.columns.get_loc("n") :]]
    return table.merge(carried)[columns].sort_values(["target", "level", "source", "recipe"])


def in_network(layer: tuple[str, Any]) -> str:
    """A layer's name with padded numbers: features.4 comes before features.11, as in the network."""
    return re.sub(r"\d+", lambda number: number[0].zfill(4), layer[0])


def layer_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One row per layer of each winning ticket's mask, and its pruning rate relative to the whole; a copy has
    the mask of copy 0."""
    found = []
    for row in rows:
        if row["copy"] or not _of_lineage(row):
            continue
        report = _read(row["run"], "pruning")
        for layer, counts in sorted(report["layers"].items(), key=in_network):
            pruned = 1 - counts["kept"] / counts["prunable"]
            found.append(
                {
                    **{key: row[key] for key in ("study", "curve", "source", "recipe", "seed", "level")},
                    "layer": layer,
                    **counts,
                    "fraction_pruned": pruned,
                    "ratio_to_overall": pruned / report["fraction_pruned"],
                }
            )
    columns = ["study", "curve", "source", "recipe", "seed", "level", "layer", "kept", "prunable"]
    return pd.DataFrame(found, columns=[*columns, "fraction_pruned", "ratio_to_overall"])
