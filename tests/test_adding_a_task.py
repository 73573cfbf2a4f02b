"""docs/adding-a-task.md, followed to the letter: files are written as the page says, and the study runs."""

import ast
import csv
import json
import re
from dataclasses import fields

import numpy as np
import pytest
import yaml
from conftest import REPO
from lottery.files import checksum
from lottery.runs import EVALUATE, MODULE, SCORES, Process, Run, Trained
from lottery.weights import load_arrays
from seams import stated

PAGE = (REPO / "docs/adding-a-task.md").read_text()
SEAM = re.compile(r"(?:^    [A-Za-z_]+(?:\([a-z, ]*\))?  +\S.*\n){10,}", re.MULTILINE)
BLOCKS = re.findall(r"`([\w/.-]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def followed(workspace):
    """A workspace with the files that the page says, and no others."""
    assert [name for name, _ in BLOCKS] == [
        "workflow_scripts/lottery/tasks/numpy_mlp.py",
        "config/tasks/numpy_mlp.yaml",
        "config/recipes/numpy_half.yaml",
        "config/studies/digits-numpy.yaml",
    ]
    for name, content in BLOCKS:
        assert not (workspace.path / name).exists()
        (workspace.path / name).write_text(content)
    return workspace


def said(workspace, run):
    return json.loads((workspace.path / "results" / run / "metrics.json").read_text())


def test_the_page_works_to_the_letter(followed):
    command = re.search(r"^    snakemake (--cores all .*)$", PAGE, re.MULTILINE)[1]
    followed.snakemake(*command.split())

    last = "lineage/digits-numpy/numpy-half/seed1/level04"
    metrics = said(followed, last)
    arrays, _ = load_arrays(followed.path / "results" / last / "arrays.safetensors")
    assert metrics["arrays_sha256"] == checksum(arrays, {})
    assert arrays["confusion"].shape == (10, 10) and arrays["confusion"].sum() == 360
    assert metrics["better"] == "lower"
    assert metrics["value"] < 1 < metrics["chance"] == pytest.approx(np.log(10), abs=0.01)
    for name in ("tickets", "difference", "learning"):
        assert (followed.path / f"results/figures/digits-numpy/{name}.png").exists()

    with open(followed.path / "results/tables/digits-numpy/summary.csv") as file:
        rows = {row["curve"]: row for row in csv.DictReader(file) if row["level"] == "4"}
    assert float(rows["winning"]["mean"]) < float(rows["random"]["mean"])
    assert float(rows["winning"]["difference"]) > 0  # better, that is lower


def test_failed_runs_of_the_family_count_at_chance_and_its_smallest_task_trains(followed):
    source = ast.parse(dict(BLOCKS)["workflow_scripts/lottery/tasks/numpy_mlp.py"])
    constants = {
        ast.unparse(node.targets[0]): node.value for node in source.body if isinstance(node, ast.Assign)
    }
    (smallest,) = ast.literal_eval(constants["SMALLEST"]).values()
    (followed.path / "config/tasks/more.yaml").write_text(
        yaml.safe_dump({"smallest": smallest, "diverging": smallest | {"lr": 1.0e30}})
    )
    followed.study["curves"] = [
        {"name": name, "task": name, "recipe": "numpy-half"} for name in ("smallest", "diverging")
    ]
    followed.study |= {"seeds": [1], "levels": 1, "figures": []}
    followed.write()
    followed.snakemake()

    trained = said(followed, "dense/smallest/seed1")
    assert trained["status"] == "ok" and trained["value"] < trained["chance"]
    for run in ("dense/diverging/seed1", "lineage/diverging/numpy-half/seed1/level01"):
        failed = said(followed, run)
        assert failed["status"] == "diverged" and "log-loss not finite" in failed["reason"]
        assert failed["value"] == failed["metrics"]["test_log_loss"] == failed["chance"] > 2


def test_the_page_and_the_readme_quote_the_seam_as_it_is():
    quoted = SEAM.search(PAGE)[0]
    assert [re.split(" {2,}", line)[1] for line in quoted.splitlines()] == stated("runs.py", "Family")
    assert quoted in (REPO / "README.md").read_text()
    for name in (MODULE, EVALUATE, SCORES):
        assert f"`{name}(task" in PAGE


def test_the_page_names_all_that_is_handed_in_and_back():
    for kind in (Run, Trained, Process):
        _, _, text = PAGE.partition(f"A `{kind.__name__}` ")
        for name in [field.name for field in fields(kind)]:
            assert re.search(f"`{name}(\\(\\))?`", text.partition("The duties")[0]), (kind, name)


def test_a_criterion_is_one_function(workspace):
    function = re.search(r"```python\n(def movement.*?)```", PAGE, re.DOTALL)[1]
    path = workspace.path / "workflow_scripts/lottery/criteria.py"
    path.write_text(path.read_text() + "\n\n" + function)
    recipe = workspace.path / "config/recipes/mine.yaml"
    recipe.write_text("mine: {criterion: movement}\n")
    workspace.study["curves"].append({"name": "mine", "task": "tiny", "recipe": "mine"})
    workspace.write()
    workspace.snakemake("--", "results/lineage/tiny/mine/seed1/level01/mask.npz")
