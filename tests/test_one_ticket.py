"""The studies of Morcos et al. 2019 plan as many trainings as their figures need, each once."""

import re
import subprocess
import sys

import pytest
import yaml
from conftest import REPO
from lottery.planning import trainings
from lottery.schemas import read_yaml
from lottery.study import read_study

LINEAGE, EVALUATED, SEEDS = 31, 14, 6  # levels 0 to 30; 1 to 6 and every third
OWN = LINEAGE + EVALUATED  # a lineage and its target's random tickets
SMALL, LARGE = 6, 4  # sources of a figure whose target is a small set; of ImageNet or Places365
FIGURES = {  # trainings of a seed
    "f1a": OWN + LINEAGE - 1,  # the layerwise lineage has the same dense run
    "f1b": LINEAGE,
    **dict.fromkeys(("f2a", "f2b"), OWN + LINEAGE + EVALUATED),
    **{
        f"f{n}{panel}": SMALL * LINEAGE + SMALL * EVALUATED for n in (3, 4) for panel in "abcd"
    },  # five transfers and random
    **{f"f{n}{panel}": LARGE * LINEAGE + LARGE * EVALUATED for n in (3, 4) for panel in "ef"},
    **dict.fromkeys(("f5a", "f5b"), OWN + LINEAGE + EVALUATED),
    "fa1": OWN + 2 * EVALUATED,
}


def planned(name):
    study = read_study(read_yaml(REPO / f"config/studies/one-ticket/{name}.yaml"), REPO / "config")
    return study, trainings(study)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_plans_its_trainings(name):
    study, runs = planned(name)
    assert len(runs) == SEEDS * FIGURES[name]
    assert list(study.figures) == [name]


def test_every_row_of_the_paper_has_its_file():
    files = {path.stem for path in (REPO / "config/studies/one-ticket").glob("*.yaml")}
    assert files == {*FIGURES, "all", "small-images", "controls"}


def test_the_controls_are_counted_apart():
    """Fresh output layers and the dense network rewound for each target, and figure 1a's layer-fresh."""
    _, runs = planned("controls")
    of_paper = planned("all")[1]
    own = [run for run in runs if run not in of_paper]
    assert len(runs) == SEEDS * (15 * (OWN + EVALUATED + 1) + LINEAGE - 1 + 2 * EVALUATED)
    assert len(own) == SEEDS * (15 * (EVALUATED + 1) + EVALUATED)  # layer-fresh of the global mask is in fa1
    rewound = [run for run in own if "/dense-rewound/" in run]
    assert len(rewound) == 15 * SEEDS and all(run.endswith("/level00") for run in rewound)


@pytest.mark.parametrize(("name", "counted"), [("all", 9480), ("small-images", 6048)])
def test_the_whole_shares_its_trainings(name, counted):
    """9,480 and 6,048 count dense runs of the layerwise lineage, which are those of global pruning: six."""
    study, runs = planned(name)
    assert len(runs) == counted - SEEDS
    small = {task for task in study.tasks if "imagenet" not in task and "places365" not in task}
    assert ({one.task for one in runs.values()} <= small) == (name == "small-images")
    kinds = {kind: sum(one.kind == kind for one in runs.values()) for kind in ("dense", "lineage")}
    dense = {"all": 17, "small-images": 13}[name]
    assert kinds == {"dense": SEEDS * dense, "lineage": SEEDS * (dense + 1) * 30}


def test_snakemake_plans_the_same(tmp_path):
    """One seed of all of it."""
    whole = read_yaml(REPO / "config/studies/one-ticket/all.yaml")
    (tmp_path / "one-seed.yaml").write_text(yaml.safe_dump(whole | {"seeds": [1]}))
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules"]
    command += ["--directory", tmp_path, "--configfile", tmp_path / "one-seed.yaml"]
    said = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stdout
    jobs = dict(re.findall(r"^(\w\S+) +(\d+)$", said.split("Job stats:")[1], re.MULTILINE))
    assert sum(int(number) for rule, number in jobs.items() if rule.startswith("train_")) == (9480 - 6) // 6
    assert int(jobs["prune"]) == 18 * 31  # a mask more than levels, so that a level can be added
