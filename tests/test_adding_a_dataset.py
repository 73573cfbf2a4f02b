"""docs/adding-a-dataset.md, to the letter: files are written as the page says, and the study runs."""

import json
import re
import subprocess
import sys

import pandas as pd
from conftest import REPO

PAGE = (REPO / "docs/adding-a-dataset.md").read_text()


def test_the_page_works_to_the_letter(workspace):
    blocks = re.findall(
        r"`([\w/.-]+\.(?:py|yaml))`(?: and run it\nwith [^:]*)?:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL
    )
    assert [name for name, _ in blocks] == [
        "make_images.py",
        "config/datasets/own.yaml",
        "workflow_scripts/lottery/datasets/ones_and_zeros.py",
        "config/datasets/parts.yaml",
        "config/tasks/zeros_and_ones.yaml",
        "config/studies/zeros-and-ones.yaml",
    ]
    for name, content in blocks:
        assert not (workspace.path / name).exists()
        (workspace.path / name).write_text(content)
    make = re.search(r"with `python (make_images.py data)`", PAGE)[1]
    subprocess.run([sys.executable, *make.split()], cwd=workspace.path, check=True)
    command = re.search(r"^    snakemake (--cores all .*)$", PAGE, re.MULTILINE)[1]
    workspace.snakemake(*command.split(), env={"LOTTERY_DATA": "data"})

    transfer = pd.read_csv(workspace.path / "results/tables/zeros-and-ones/transfer.csv")
    assert transfer.groupby("source")["level"].apply(list).to_dict() == {
        f"{source}-vgg": [1, 2, 3] for source in ("arrays", "folder", "part")
    }
    assert transfer[transfer["level"] == 1]["mean"].min() > 0.9
    for name in ("transfer", "matrix"):
        assert (workspace.path / f"results/figures/zeros-and-ones/{name}.png").exists()
    run = json.loads((workspace.path / "results/dense/part-vgg/seed1/metrics.json").read_text())
    assert run["metrics"]["steps"] == 2 * 50 // 10
