"""The table of an analysis: a row per curve, seed and level, from the JSON files of its jobs."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from . import addresses
from .belonging import refuse_strays, strays_of_analysis
from .endings import anew
from .pieces import Piece, pieces
from .tables import write_csv

KEYS = ["curve", "seed", "level"]
OF_RUN = ["target", "source", "recipe", "ticket", "copy", "kept", "prunable", "fraction_pruned"]


def make_table(asked: Mapping[str, Any], entry: Mapping[str, Any], runs: str, output: str) -> None:
    """Write the table of an analysis that a study asks for; runs: the study's runs.csv.

    Raises InputError for a job that has looked at other files than the study's runs have now."""
    found = strays_of_analysis(asked, entry)
    listed = Path(addresses.stale(asked["study"], entry["name"]))
    refuse_strays(found, listed, anew, f"jobs of analysis {entry['name']}")
    write_table(asked["study"], pieces(asked, entry), runs, output)


def write_table(study: str, jobs: Iterable[Piece], runs: str, output: str) -> None:
    """Write the rows of some jobs, with what runs.csv says of the same run, and where each job's file is."""
    table = pd.DataFrame([_row(study, piece) for piece in jobs])
    said = pd.read_csv(runs)
    said = said[[*KEYS, *(name for name in OF_RUN if name in said)]]
    merged = table[["study", *KEYS]].merge(said, on=KEYS, how="left")
    write_csv(output, merged.join(table.drop(columns=["study", *KEYS])))


def _row(study: str, piece: Piece) -> dict[str, Any]:
    found = json.loads(Path(piece.address).read_text())
    row = {"study": study, "curve": piece.curve.name, "seed": piece.seed, "level": piece.level}
    said = {"status": found["status"], "reason": found["reason"]}
    return {**row, **said, **found["numbers"], "file": piece.address}
