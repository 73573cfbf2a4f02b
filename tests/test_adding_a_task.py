"""docs/adding-a-task.md, followed to the letter: files are written as the page says, and the study runs."""

import csv
import re

from conftest import REPO

PAGE = (REPO / "docs/adding-a-task.md").read_text()


def test_the_page_works_to_the_letter(workspace):
    blocks = re.findall(r"`([\w/.-]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in blocks] == [
        "workflow_scripts/lottery/tasks/numpy_mlp.py",
        "config/tasks/numpy_mlp.yaml",
        "config/studies/digits-numpy.yaml",
        "config/recipes/numpy_half.yaml",
    ]
    for name, content in blocks:
        assert not (workspace.path / name).exists()
        (workspace.path / name).write_text(content)
    command = re.search(r"^    snakemake (--cores all .*)$", PAGE, re.MULTILINE)[1]
    workspace.snakemake(*command.split())
    with open(workspace.path / "results/tables/digits-numpy/summary.csv") as file:
        last = {row["curve"]: row for row in csv.DictReader(file) if row["level"] == "4"}
    assert float(last["winning"]["mean"]) > float(last["random"]["mean"])
    assert (workspace.path / "results/figures/digits-numpy/learning.png").exists()


def test_the_page_quotes_the_seam_as_it_is():
    seam = (REPO / "workflow_scripts/lottery/tasks/__init__.py").read_text()
    quoted = re.search(r"(    SCHEMA .*?whichever way is fastest\n)", seam, re.DOTALL)[1]
    assert quoted in PAGE and quoted in (REPO / "README.md").read_text()


def test_a_criterion_is_one_function(workspace):
    function = re.search(r"```python\n(def movement.*?)```", PAGE, re.DOTALL)[1]
    path = workspace.path / "workflow_scripts/lottery/criteria.py"
    path.write_text(path.read_text() + "\n\n" + function)
    recipe = workspace.path / "config/recipes/mine.yaml"
    recipe.write_text("mine: {criterion: movement}\n")
    workspace.study["curves"].append({"name": "mine", "task": "tiny", "recipe": "mine"})
    workspace.write()
    workspace.snakemake("--", "results/lineage/tiny/mine/seed1/level01/mask.npz")
