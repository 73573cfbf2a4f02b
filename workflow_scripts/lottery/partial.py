"""Tables and figures of the runs there are, where a study is not done; nobody takes them for the whole."""

import shutil
from pathlib import Path

from . import addresses
from .belonging import strays
from .claims import grade_claims
from .figures import draw
from .files import write_text
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
        if study.claims:
            files = {
                "claims": str(folder / "PARTIAL-claims.csv"),
                "page": str(folder / "PARTIAL-claims.html"),
            }
            read = {name: tables[name] for name in ("runs", "layers")}
            grade_claims(f"{study.name}, PARTIAL", study.claims, study.seeds, read, files)
        for name, figure in study.figures.items():
            title = f"PARTIAL, {there} of {len(found)} runs: {figure['title']}"
            files = {suffix: str(folder / f"PARTIAL-{name}.{suffix}") for suffix in ("svg", "png")}
            try:
                draw({**figure, "title": title}, study.legend(name), tables, files)
            except Exception as error:  # whatever it needs is not there yet
                lines.append(f"figure {name}: not drawn ({type(error).__name__}: {error})")
    said = f"{there} of {len(found)} runs of study {study.name} are there"
    write_text(folder / "MISSING.txt", "\n".join([f"{said}; not used:", *lines]) + "\n")
    return f"{said}: PARTIAL tables and figures of these, and MISSING.txt, are in {folder}"
