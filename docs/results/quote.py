"""What the pages quote: tables of a study kept beside them, and Markdown printed from those.

    python docs/results/quote.py keep default    # copies results/tables/default/ to docs/results/default/
    python docs/results/quote.py claims default  # its claims, graded; more words: only these, or such as x-*
    python docs/results/quote.py levels default winning-random  # one claim, level by level
    python docs/results/quote.py fill            # prints every quotation of the pages anew, in its place

A quotation stands between `<!-- quote: claims default -->` and `<!-- end of quote -->`.
"""

import gzip
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
PAGES = [*sorted(HERE.glob("*.md")), HERE.parent.parent / "README.md"]
QUOTE = re.compile(r"(<!-- quote: (.*?) -->\n).*?(<!-- end of quote -->)", re.DOTALL)


def keep(study: str) -> None:
    """Copy the tables of a study that was run here, compressed with the same bytes each time."""
    folder = HERE / study
    folder.mkdir(exist_ok=True)
    for path in sorted(Path("results/tables", study).glob("*.csv")):
        if path.stem != "transfer":  # which is in summary
            (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))


def read(study: str, table: str) -> pd.DataFrame:
    return pd.read_csv(HERE / study / f"{table}.csv.gz")


def claims(study: str, *patterns: str) -> str:
    """A row a claim: the difference as a whole, at which levels it is shown or contrary, and the verdict."""
    table = read(study, "claims")
    lines = ["| claim | difference | 95 % interval | n | could have shown | levels | verdict |"]
    lines += ["|---|---:|---:|---:|---:|---|---|"]
    for name, rows in table.groupby("claim", sort=False):
        if patterns and not any(fnmatch(str(name), pattern) for pattern in patterns):
            continue
        whole, levels = rows.iloc[0], rows[rows["of"] == "level"]
        said = f"{whole['statement']} ({whole['source']})"
        note = f"; {whole['note']}" if isinstance(whole["note"], str) else ""
        numbers = [
            number(whole["difference"], "+"),
            between(whole),
            str(whole["n"]),
            number(whole["detectable"]),
        ]
        lines.append(f"| {' | '.join([said, *numbers, at_levels(levels) + note, bold(whole['verdict'])])} |")
    return "\n".join(lines)


def levels(study: str, claim: str) -> str:
    """One claim, a row a level."""
    table = read(study, "claims")
    rows = table[table["claim"] == claim]
    if rows.empty:
        raise SystemExit(
            f"error: {study} has no claim {claim!r}; it has: {', '.join(table['claim'].unique())}"
        )
    first = rows.iloc[0]
    lines = [
        f"| weights left | {first['curve']} | {first['against']} | difference | 95 % interval | n | verdict |"
    ]
    lines += ["|---:|---:|---:|---:|---:|---:|---|"]
    for _, row in pd.concat([rows[rows["of"] == "level"], rows[rows["of"] == "whole"]]).iterrows():
        left = "all levels" if row["of"] == "whole" else f"{100 * row['remaining']:.3g} %"
        numbers = [
            number(row["mean"]),
            number(row["against_mean"]),
            number(row["difference"], "+"),
            between(row),
        ]
        lines.append(f"| {' | '.join([left, *numbers, str(row['n']), bold(row['verdict'])])} |")
    return "\n".join(lines)


def at_levels(levels: pd.DataFrame) -> str:
    """At how many levels a claim is shown and contrary, and at which."""
    said = []
    for verdict in ("shown", "contrary"):
        found = [f"{100 * left:.3g}" for left in levels[levels["verdict"] == verdict]["remaining"]]
        if found:
            which = f"{found[0]} to {found[-1]}" if len(found) > 4 else ", ".join(found)
            said.append(f"{verdict} at {len(found)} of {len(levels)} ({which} %)")
    return "; ".join(said)


def between(row: pd.Series) -> str:
    return "" if pd.isna(row["ci_low"]) else f"{number(row['ci_low'], '+')} to {number(row['ci_high'], '+')}"


def number(value: float, sign: str = "") -> str:
    return "" if pd.isna(value) else f"{value:{sign}.3g}"


def bold(verdict: str) -> str:
    return verdict if verdict in ("not shown", "too few seeds") else f"**{verdict}**"


COMMANDS = {"claims": claims, "levels": levels}


def filled(page: str) -> str:
    """A page with every quotation printed anew."""

    def printed(quotation: re.Match[str]) -> str:
        command, *arguments = quotation[2].split()
        return f"{quotation[1]}{COMMANDS[command](*arguments)}\n{quotation[3]}"

    return QUOTE.sub(printed, page)


def main(command: str, *arguments: str) -> None:
    if command == "keep":
        keep(*arguments)
    elif command == "fill":
        for path in PAGES:
            path.write_text(filled(path.read_text()))
    else:
        print(COMMANDS[command](*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
