"""What a plan says: the trainings that Snakemake would run, what they cost, when they end."""

import re
import subprocess
import sys

import pytest
from conftest import REPO
from lottery import planning
from lottery.planning import Planned, Record
from lottery.schemas import read_yaml
from lottery.study import read_study

STUDIES = ["config.yaml", *(f"studies/{path.name}" for path in (REPO / "config/studies").glob("*.yaml"))]


@pytest.mark.parametrize("path", sorted(STUDIES))
def test_the_trainings_are_those_of_a_dry_run(path, workspace):
    """Counted from the study alone, in the shape of lineages, as Snakemake counts them from its rules."""
    study = read_study(read_yaml(REPO / "config" / path), REPO / "config")
    workspace.study = read_yaml(REPO / "config" / path)
    planned = workspace.planned()
    trainings = sum(number for rule, number in planned.items() if rule.startswith("train_"))
    found = planning.trainings(study)
    assert len(found) == trainings
    assert all(one.after is None or one.after in found for one in found.values())
    kinds = {
        "dense": "train_dense",
        "lineage": "train_level",
        "ticket": "train_ticket",
        "random": "train_random",
    }
    for kind, rule in kinds.items():
        counted = sum(number for name, number in planned.items() if name.startswith(rule))
        assert sum(one.kind == kind for one in found.values()) == counted


def chains(number, length):
    """Runs named by chain and place: `0-0` before `0-1`."""
    names = {(c, k): f"{c}-{k}" for c in range(number) for k in range(length)}
    return {name: Planned(name, "t", "lineage", names.get((c, k - 1))) for (c, k), name in names.items()}


@pytest.mark.parametrize(
    ("number", "length", "devices", "share", "wall"),
    [
        (1, 5, 1, 1, 50),  # a chain runs one after another
        (1, 5, 8, 1, 50),  # however many devices there are
        (4, 5, 1, 1, 200),  # one device does all the work
        (4, 5, 2, 1, 100),
        (4, 5, 4, 1, 50),
        (4, 5, 1, 0.25, 50),  # four share one
        (2, 2, 4, 4, 40),  # each needs all four
    ],
)
def test_the_schedule_ends_when_it_must(number, length, devices, share, wall):
    todo = chains(number, length)
    given = (
        dict.fromkeys(todo, 10.0),
        dict.fromkeys(todo, "GPU"),
        {"GPU": devices},
        dict.fromkeys(todo, share),
    )
    assert planning.simulate(todo, *given) == pytest.approx(wall)


def test_the_longest_chain_goes_first():
    todo = {**chains(1, 3), "single": Planned("single", "t", "random", None)}
    seconds = dict.fromkeys(todo, 10.0)
    assert planning.chain_lengths(todo, seconds) == {"0-0": 30, "0-1": 20, "0-2": 10, "single": 10}
    given = dict.fromkeys(todo, "GPU"), {"GPU": 1.0}, dict.fromkeys(todo, 1.0)
    assert planning.simulate(todo, seconds, *given) == 40


def test_costs_are_recorded_ones_of_the_task_else_estimates():
    study = read_study(read_yaml(REPO / "config/config.yaml"), REPO / "config")
    known = [Record("digits-lenet", "lineage", seconds, 1000) for seconds in (1.0, 3.0)]
    costs = planning.Costs(study, known)
    lineage, random = (Planned("x", "digits-lenet", kind, None) for kind in ("lineage", "random"))
    assert (costs.seconds(lineage), costs.size(lineage)) == (2.0, 1000)
    assert costs.seconds(random) == 2.0  # of the same task
    assert costs.source("digits-lenet") == "recorded"
    other = Planned("x", "cartpole-a2c", "dense", None)
    assert costs.source("cartpole-a2c") == "estimate" and 0 < costs.seconds(other) < 60
    dense = Planned("x", "digits-lenet", "dense", None)
    assert costs.size(dense) == 4 * 50_610 * (2 + 1)  # LeNet-300-100 on 8 x 8 pixels; one rewind point


def test_make_plan_says_what_would_run(workspace):
    workspace.snakemake("--", "results/dense/tiny/seed1/metrics.json")
    command = [sys.executable, "workflow_scripts/plan.py", "config/config.yaml", "--cpus", "2"]

    def plan(*more, status=0):
        done = subprocess.run([*command, *more], cwd=workspace.path, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    said = plan()
    assert "study tiny: 10 trainings, 10 if curves shared none" in said
    assert "done already: 1; would run: 9" in said
    assert re.search(r"tiny +9 +1 +\S+ s +\S+ s  recorded", said)
    assert re.search(r"wall time +\S+ s on 8 GPUs", said)
    workspace.tasks["tiny"]["optimizer"]["lr"] = 1.0e-3
    workspace.write()
    assert "done already: 0; would run: 10" in plan()
    command[2] = "typo"
    assert (
        plan(status=1).strip() == "error: STUDY: found typo, which is no file; allowed: a study's config file"
    )
