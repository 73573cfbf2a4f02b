"""docs/adding-a-dataset.md, to the letter: files are written as the page says, and the studies run."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import REPO
from seams import stated

PAGE = (REPO / "docs/adding-a-dataset.md").read_text()
IMAGES = [
    "make_data.py",
    "config/datasets/own.yaml",
    "workflow_scripts/lottery/datasets/ones_and_zeros.py",
    "config/datasets/parts.yaml",
    "config/tasks/zeros_and_ones.yaml",
    "config/studies/zeros-and-ones.yaml",
]
TEXT = ["config/datasets/pixels.yaml", "config/tasks/pixels.yaml", "config/studies/pixels.yaml"]
MEASUREMENTS = [
    "workflow_scripts/lottery/data/measurements.py",
    "workflow_scripts/lottery/datasets/diabetes.py",
    "config/datasets/diabetes.yaml",
    "workflow_scripts/lottery/tasks/linear.py",
    "config/tasks/diabetes.yaml",
    "config/studies/diabetes.yaml",
]
RUN = "random/diabetes-200-linear/global-weight-p0.2/seed1/level05"


@pytest.fixture
def followed(workspace):
    """A workspace with the files that the page says, the data made, in `data/`."""
    blocks = re.findall(
        r"`([\w/.-]+\.(?:py|yaml))`(?: and run it\nwith [^:]*)?:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL
    )
    assert [name for name, _ in blocks] == IMAGES + TEXT + MEASUREMENTS
    for name, content in blocks:
        assert not (workspace.path / name).exists()
        (workspace.path / name).write_text(content)
    make = re.search(r"with `python (make_data.py data)`", PAGE)[1]
    subprocess.run([sys.executable, *make.split()], cwd=workspace.path, check=True)
    return workspace


def study(workspace, name, *arguments, **more):
    command = re.search(rf"^    snakemake (--cores all .*/{name}.yaml)$", PAGE, re.MULTILINE)[1]
    return workspace.snakemake(*command.split(), *arguments, env={"LOTTERY_DATA": "data"}, **more)


def test_the_page_works_to_the_letter_for_images(followed):
    study(followed, "zeros-and-ones")
    transfer = pd.read_csv(followed.path / "results/tables/zeros-and-ones/transfer.csv")
    assert transfer.groupby("source")["level"].apply(list).to_dict() == {
        f"{source}-vgg": [1, 2, 3] for source in ("arrays", "folder", "part")
    }
    assert transfer[transfer["level"] == 1]["mean"].min() > 0.9
    for name in ("transfer", "matrix"):
        assert (followed.path / f"results/figures/zeros-and-ones/{name}.png").exists()
    run = json.loads((followed.path / "results/dense/part-vgg/seed1/metrics.json").read_text())
    assert run["metrics"]["steps"] == 2 * 50 // 10


def test_the_page_works_to_the_letter_for_a_text(followed):
    study(followed, "pixels")
    assert (followed.path / "results/figures/pixels/tickets.png").exists()
    runs = pd.read_csv(followed.path / "results/tables/pixels/runs.csv")
    assert len(runs) == 2 * 2 + 2 and (runs["status"] == "ok").all()
    assert (runs["value"] < runs["chance"] - 0.3).all() and set(runs["better"]) == {"lower"}
    text = followed.path / "data/pixels/text.txt"
    text.write_text(text.read_text() + "0 1\n")
    assert study(followed, "pixels", check=False).returncode == 1
    assert (followed.path / "results/logs/data/pixels.log").read_text() == (
        "error: data set pixels: train: found 18720, the training text has 18722 tokens\n"
    )


def test_the_page_works_to_the_letter_for_another_kind(followed):
    study(followed, "diabetes")
    assert (followed.path / "results/figures/diabetes/tickets.png").exists()
    summary = pd.read_csv(followed.path / "results/tables/diabetes/summary.csv")
    reached = summary[summary["level"] == 5].set_index("curve")
    assert reached.loc["winning", "kept"] == 3
    assert reached.loc["winning", "mean"] < reached.loc["random", "mean"]
    folder = followed.path / "results/data/diabetes-200"
    assert {path.name for path in folder.glob("[!.]*")} == {"seal.json", "test.npy", "train.npy"}
    assert np.load(folder / "train.npy").shape == (200, 11)

    # a damaged file is refused by name; when the folder is deleted, as it says, all is as it was
    metrics, table = (
        followed.path / "results" / RUN / "metrics.json",
        followed.path / "results/tables/diabetes",
    )
    before = metrics.read_bytes()
    content = bytearray((folder / "train.npy").read_bytes())
    content[-1] ^= 1
    (folder / "train.npy").write_bytes(content)
    assert "Nothing to be done" in study(followed, "diabetes").stderr
    metrics.unlink()
    (table / "runs.csv").unlink()
    assert study(followed, "diabetes", check=False).returncode == 1
    assert (followed.path / f"results/logs/{RUN}.log").read_text() == (
        "error: results/data/diabetes-200/train.npy: is damaged; "
        "delete results/data/diabetes-200 and run again\n"
    )
    assert not metrics.exists()
    shutil.rmtree(folder)
    study(followed, "diabetes")
    assert metrics.read_bytes() == before
    assert "Nothing to be done" in study(followed, "diabetes").stderr


def test_bad_data_is_refused_in_one_line_and_nothing_is_half_written(followed):
    """The training rows are good, and written by the time the test rows are found to be bad."""
    path = followed.path / "data/diabetes/test.csv"
    good = path.read_text()
    for bad, message in (
        (
            good.partition("\n")[2],
            "data set diabetes-200: test: found (99, 11), expected (100, 11) finite numbers",
        ),
        (
            good.replace(",", ",male,", 1),
            "data/diabetes/test.csv: could not convert string 'male' to float64",
        ),
        (None, "data/diabetes/test.csv: is missing; docs/adding-a-dataset.md says how to make it"),
    ):
        path.unlink() if bad is None else path.write_text(bad)
        said = study(followed, "diabetes", "--quiet", "all", "--until", "prepare_data_folder", check=False)
        assert said.returncode == 1
        (line,) = (followed.path / "results/logs/data/diabetes-200.log").read_text().splitlines()
        assert line.startswith(f"error: {message}")
        assert not (followed.path / "results/data").exists()  # Snakemake removes an empty folder
    path.write_text(good)
    study(followed, "diabetes", "--until", "prepare_data_folder")
    assert sorted(path.name for path in (followed.path / "results/data").iterdir()) == [
        "diabetes-200",
        "diabetes-200.json",
    ]


def test_a_family_for_another_kind_refuses_the_data_set_in_one_line(followed):
    followed.tasks["tiny"]["dataset"] = "diabetes"
    followed.write()
    said = followed.snakemake("-n", check=False)
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].endswith(
        "tiny.yaml: tiny: dataset: found diabetes, a set of measurements; allowed: sets of images"
    )


def test_the_page_quotes_what_a_kind_is():
    quoted = re.search(r"(?:^    [A-Za-z_]+(?:\([a-z, ]*\))?  +\S.*\n){5}", PAGE, re.MULTILINE)[0]
    assert [re.split(" {2,}", line)[1] for line in quoted.splitlines()] == stated("data/__init__.py", "Kind")
