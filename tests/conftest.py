"""A tiny task that trains in a tenth of a second, and copies of the workflow to run Snakemake in."""

import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lottery.config import read_datasets, read_recipes, read_tasks
from lottery.data import images
from lottery.schemas import read_yaml

REPO = Path(__file__).parent.parent
DATASETS = read_datasets(REPO / "config/datasets")
FOLDERS = ("rules", "workflow_scripts", "config", "envs", "profiles", "slurm", "local", "report")

TINY = {
    "family": "supervised",
    "dataset": "digits",
    "validation": 117,
    "model": {"name": "lenet-300-100"},
    "optimizer": {"name": "adam", "lr": 1.2e-3},
    "batch_size": 60,
    "length": "epoch2",
    "evaluate_every": "step11",
}
STUDY = {
    "study": "tiny",
    "seeds": [1, 2],
    "levels": 2,
    "curves": [
        {"name": "winning", "task": "tiny", "recipe": "imp"},
        {"name": "random", "task": "tiny", "recipe": "imp", "ticket": "random"},
    ],
    "figures": [{"name": "main", "kind": "metric", "title": "a title", "curves": ["winning", "random"]}],
}


def contents(folder):
    """File -> content of all results under a folder, less what tells how a run came about."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.name == "provenance.json":
            continue
        if path.is_file() and path.suffix in (".safetensors", ".npz", ".csv", ".json"):
            content = path.read_bytes()
            found[str(path.relative_to(folder))] = content
    return found


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The prepared digits data set."""
    path = tmp_path_factory.mktemp("data") / "digits.safetensors"
    images.prepare(DATASETS["digits"], Path("unused"), path)
    return path


@pytest.fixture(scope="session")
def tasks():
    return read_tasks(REPO / "config/tasks", DATASETS)


@pytest.fixture(scope="session")
def recipes():
    return read_recipes(REPO / "config/recipes", read_yaml(REPO / "config/schemas/recipe.schema.yaml"))


@pytest.fixture
def tiny(tmp_path):
    """Make a task of the tiny entry with some keys changed: tiny(length="epoch1")."""

    def make(**changes):
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        (folder / "tiny.yaml").write_text(yaml.safe_dump({"tiny": copy.deepcopy(TINY) | changes}))
        return read_tasks(folder, DATASETS)["tiny"]

    return make


class Workspace:
    """A copy of the workflow in which to change config and run Snakemake."""

    def __init__(self, path):
        self.path = path
        for name in FOLDERS:
            shutil.copytree(REPO / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPO / "Snakefile", path)
        self.study = copy.deepcopy(STUDY)
        self.tasks = {"tiny": copy.deepcopy(TINY), "tiny-b": copy.deepcopy(TINY) | {"dataset": "digits-b"}}
        self.write()

    def write(self):
        (self.path / "config/config.yaml").write_text(yaml.safe_dump(self.study))
        (self.path / "config/tasks/tiny.yaml").write_text(yaml.safe_dump(self.tasks))

    def command(self, *arguments):
        return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]

    def snakemake(self, *arguments, check=True, **more):
        environment = {**os.environ, **more.pop("env", {})}
        done = subprocess.run(
            self.command(*arguments), cwd=self.path, capture_output=True, text=True, env=environment, **more
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def planned(self, *arguments):
        """Rule -> number of jobs that a dry run would run, less those that only name the study."""
        self.write()
        said = self.snakemake("-n", "--quiet", "rules", *arguments)
        text = said.stdout + said.stderr
        if "Nothing to be done" in text:
            return {}
        counts = dict(re.findall(r"^(\S+)\s+(\d+)$", text, re.MULTILINE))
        return {rule: int(n) for rule, n in counts.items() if rule not in ("all", "asked", "total", "job")}

    def planned_runs(self):
        """The outputs that a dry run would make."""
        self.write()
        text = self.snakemake("-n").stdout
        return {
            name for line in re.findall(r"^ +output: (.*)", text, re.MULTILINE) for name in line.split(", ")
        }


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")
