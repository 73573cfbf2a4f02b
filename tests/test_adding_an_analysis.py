"""docs/adding-an-analysis.md, followed to the letter: files are written as it says, and the study runs."""

import csv
import re
from dataclasses import fields

import numpy as np
import pytest
from conftest import REPO
from lottery import weights
from lottery.analysis import Analysed, Job, Measured
from lottery.runs import CONNECTIONS, EVALUATE, MODULE, STATISTICS
from seams import stated

PAGE = (REPO / "docs/adding-an-analysis.md").read_text()
BLOCKS = re.findall(r"`([\w/.-]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_works_to_the_letter(workspace):
    assert [name for name, _ in BLOCKS] == [
        "workflow_scripts/lottery/analyses/travel.py",
        "config/studies/digits-travel.yaml",
    ]
    for name, content in BLOCKS:
        assert not (workspace.path / name).exists()
        (workspace.path / name).write_text(content)
    command = re.search(r"^    snakemake (--cores all .*)$", PAGE, re.MULTILINE)[1]
    workspace.snakemake(*command.split())
    results = workspace.path / "results"
    assert (results / "figures/digits-travel/travel.png").exists()
    with open(results / "tables/digits-travel/travel.csv") as file:
        rows = {(row["curve"], row["seed"], row["level"]): row for row in csv.DictReader(file)}
    assert len(rows) == 3 * (4 + 3)
    dense = results / "dense/digits-lenet/seed2"
    start, _ = weights.load(dense / "init.safetensors")
    final, _ = weights.load(dense / "weights.safetensors")
    moved = sum(((final.tensors[name] - array) ** 2).sum() for name, array in start.tensors.items())
    norm = np.sqrt(sum((array**2).sum() for array in start.tensors.values()))
    row = rows["winning", "2", "0"]
    assert float(row["travelled"]) == pytest.approx(np.sqrt(moved) / norm, rel=1e-5)
    assert float(rows["random", "1", "3"]["start"]) != float(rows["winning", "1", "3"]["start"])
    with open(results / "tables/digits-travel/claims.csv") as file:
        levels = [row for row in csv.DictReader(file) if row["of"] == "level"]
    assert [row["level"] for row in levels] == ["1", "2", "3"] and all(row["n"] == "3" for row in levels)


def test_the_page_quotes_the_seam_as_it_is():
    quoted = re.findall(r"^    ([A-Za-z]+(?:\([a-z, ]*\))?)  +\S", PAGE, re.MULTILINE)
    assert quoted == stated("analysis.py", "Analysis")
    for kind in (Job, Analysed, Measured):
        _, _, text = PAGE.partition(f"`{kind.__name__}` is ")
        for name in [field.name for field in fields(kind)]:
            assert f"`{name}`" in text.partition("## An example")[0], (kind, name)
    for name in (EVALUATE, STATISTICS, CONNECTIONS, MODULE):
        assert f"`{name}(task" in PAGE
