"""Tables and figures of the runs there are, where a study is not done; nobody takes them for the whole."""

import shutil
from pathlib import Path

from . import addresses
from .analysed import write_table
from .belonging import strays, strays_of_analysis
from .claims import grade_claims
from .figures import ANALYSED, draw
from .files import write_text
from .pieces import pieces
from .study import Study
from .tables import asked_rows, write_tables


def write_partial(study: Study) -> str:
    """Write what can be made, and what is missing for the whole; the line that says so."""
    asked, folder = study.asked(), Path(addresses.partial(study.name))
    found = strays(asked)
    there = sum(not wrong for wrong in found.values())
    lines = [f"{run}: {wrong[-1].said}" for run, wrong in sorted(found.items()) if wrong]
    shutil.rmtree(folder, ignore_errors=True)
    rows = [row for row in asked_rows(asked) if not found[row["run"]]]
    if rows:
        tables = {name: str(folder / f"PARTIAL-{name}.csv") for name in study.tables}
        write_tables(asked, tables, rows)
        for name, entry in study.analyses.items():
            wrong = strays_of_analysis(asked, entry)
            lines += [f"{path}: {one[-1].said}" for path, one in sorted(wrong.items()) if one]
            jobs = [piece for piece in pieces(asked, entry) if not wrong[piece.address]]
            jobs = [piece for piece in jobs if not found[piece.curve.run(piece.seed, piece.level)]]
            if jobs:
                tables[name] = str(folder / f"PARTIAL-{name}.csv")
                write_table(study.name, jobs, tables["runs"], tables[name])
        if study.claims:
            files = {
                "claims": str(folder / "PARTIAL-claims.csv"),
                "page": str(folder / "PARTIAL-claims.html"),
            }
            read = {name: tables[name] for name in ("runs", "layers", *study.analyses) if name in tables}
            grade_claims(f"{study.name}, PARTIAL", study.claims, study.seeds, read, files)
        for name, figure in study.drawn().items():
            title = f"PARTIAL, {there} of {len(found)} runs: {figure['title']}"
            files = {suffix: str(folder / f"PARTIAL-{name}.{suffix}") for suffix in ("svg", "png")}
            try:
                inputs = {**tables, ANALYSED: tables[name]} if name in study.analyses else tables
                draw({**figure, "title": title}, study.legend(name), inputs, files)
            except Exception as error:  # whatever it needs is not there yet
                lines.append(f"figure {name}: not drawn ({type(error).__name__}: {error})")
    said = f"{there} of {len(found)} runs of study {study.name} are there"
    write_text(folder / "MISSING.txt", "\n".join([f"{said}; not used:", *lines]) + "\n")
    return f"{said}: PARTIAL tables and figures of these, and MISSING.txt, are in {folder}"
