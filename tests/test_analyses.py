"""Analyses in a study: what is planned, what a job measures, and which rows a table takes."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import REPO, STUDY, Workspace, contents
from lottery import interpolation, runs
from lottery.addresses import analysis as address
from lottery.analysed import make_table
from lottery.analyses import barrier, instability
from lottery.analysis import Analysed, Job, rows_of
from lottery.errors import InputError
from lottery.partial import write_partial
from lottery.pieces import Piece, pieces
from lottery.rewinding import Rewind
from lottery.runs import HERE, Process, Run
from lottery.schemas import read_yaml
from lottery.stopping import STOPPED
from lottery.study import read_study
from lottery.weights import Network

LATER = {"later": {"rewind": {"weights": "epoch1", "schedule": "epoch1"}}}
CURVES = [
    *STUDY["curves"],
    {"name": "again", "task": "tiny", "recipe": "imp", "copy": 1},
    {"name": "random-again", "task": "tiny", "recipe": "imp", "ticket": "random", "copy": 1},
    {"name": "late-0", "task": "tiny", "recipe": "later", "ticket": "dense-rewound"},
    {"name": "late", "task": "tiny", "recipe": "later", "ticket": "dense-rewound", "copy": 1},
]
SPARSITY = {"name": "sparsity", "analysis": "effective-sparsity", "curves": ["winning", "random"]}
LEVELS = {"name": "levels", "analysis": "barrier", "curves": ["winning"], "points": 3, "draw": "path"}
PARTED = {
    "name": "parted",
    "analysis": "instability",
    "curves": ["again", "random-again", "late"],
    "points": 3,
}
CLAIM = {
    "name": "c",
    "statement": "s",
    "source": "here",
    "curve": "winning",
    "against": 0.5,
    "expect": "lower",
}
CLAIM |= {"value": "levels.test_error_barrier"}


def with_analyses(workspace, *analyses, **more):
    (workspace.path / "config/recipes/later.yaml").write_text(yaml.safe_dump(LATER))
    workspace.study |= {"curves": CURVES, "analyses": list(analyses), **more}
    workspace.write()
    return workspace


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study with all analyses, run."""
    workspace = Workspace(tmp_path_factory.mktemp("analyses") / "whole")
    with_analyses(workspace, SPARSITY, LEVELS, PARTED, claims=[CLAIM])
    workspace.snakemake()
    return workspace


@pytest.fixture
def finished(whole, tmp_path):
    """A copy of it, to spoil."""
    workspace = Workspace(tmp_path / "finished")
    workspace.study = json.loads(json.dumps(whole.study))
    shutil.rmtree(workspace.path)
    shutil.copytree(whole.path, workspace.path, copy_function=shutil.copy2, symlinks=True)
    return workspace


def rows(workspace, name, study="tiny"):
    with open(workspace.path / f"results/tables/{study}/{name}.csv") as file:
        return {(row["curve"], row["seed"], row["level"]): row for row in csv.DictReader(file)}


def test_a_study_gets_a_row_for_each_curve_seed_and_level_and_a_figure(whole):
    expected = {"sparsity": 2 * 2 * 2, "levels": 2 * 2, "parted": 2 * (3 + 2 + 1)}
    for name, number in expected.items():
        assert len(rows(whole, name)) == number
        for suffix in ("svg", "png"):
            assert (whole.path / f"results/figures/tiny/{name}.{suffix}").exists()
    runs_csv = rows(whole, "runs")
    for key, row in rows(whole, "parted").items():
        assert (row["kept"], row["status"], row["copy"]) == (runs_csv[key]["kept"], "ok", "1")
    assert {level for _, _, level in rows(whole, "levels")} == {"0", "1"}  # level 1 goes with level 2
    claims = (whole.path / "results/tables/tiny/claims.csv").read_text()
    assert "levels.test_error_barrier" in claims and "lack a run" not in claims


def test_weights_that_an_analysis_needs_are_kept_and_are_those_of_the_run(whole):
    """Of tickets and copies too: they are not trained again while they are there."""
    kept = sorted((whole.path / "results").rglob("weights.json"))
    assert {path.relative_to(whole.path / "results").parts[0] for path in kept} == {
        "lineage",
        "random",
        "ticket",
    }
    for path in kept:
        made = json.loads(path.with_name("metrics.json").read_text())["made"]["weights"]
        assert json.loads(path.read_text())["weights_sha256"] == made
    logs = [path.read_text() for path in (whole.path / "results/logs").rglob("weights.log")]
    assert logs and not any("step" in log for log in logs)


def test_nothing_runs_again_and_what_is_gone_is_made_again_alone(finished):
    assert finished.planned() == {}
    before = contents(finished.path / "results")
    random = "results/random/tiny/global-weight-p0.2/seed1/level01/copy1/weights.safetensors"
    (finished.path / random).unlink()
    assert finished.planned() == {}  # large files may be gone
    piece = f"results/analysis/instability-points-3/{random.removeprefix('results/').rpartition('/')[0]}.json"
    (finished.path / piece).unlink()
    (finished.path / "results/tables/tiny/parted.csv").unlink()
    planned = finished.planned()
    tables = {"analysis_table": 1, "analysis_figure": 1, "claims": 1}
    assert planned == {"keep_random": 1, "analyse": 1, **tables}
    finished.snakemake()
    assert contents(finished.path / "results") == before


def test_another_study_shares_the_jobs_and_other_options_are_elsewhere(finished):
    finished.study |= {"study": "other", "analyses": [LEVELS | {"name": "mine", "title": "t"}], "claims": []}
    planned = finished.planned()
    assert planned == {"tables": 1, "figure": 1, "analysis_table": 1, "analysis_figure": 1}
    finished.study["analyses"][0]["points"] = 4
    assert finished.planned()["analyse"] == 4
    run = "results/lineage/t/r/seed1/level03"
    assert (
        address("barrier", {"points": 4}, run)
        == "results/analysis/barrier-points-4/lineage/t/r/seed1/level03.json"
    )
    assert address("a", {"by": "x/y", "z": 0.5}, run).split("/")[2] == "a-by-x%2Fy-z-0.5"


@pytest.mark.parametrize(
    ("file", "keys", "said"),
    [
        ("dense/tiny/seed1/metrics.json", ("made", "weights"), "made_from.first.weights"),
        ("lineage/tiny/imp/seed2/level02/weights.json", ("weights_sha256",), "made_from.second.weights"),
    ],
)
def test_a_table_takes_no_job_that_looked_at_other_weights(finished, monkeypatch, file, keys, said):
    path = finished.path / "results" / file
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = "another"
    path.write_text(json.dumps(content))
    monkeypatch.chdir(finished.path)
    study = read_study(finished.study, finished.path / "config")
    with pytest.raises(InputError) as error:
        make_table(study.asked(), study.analyses["levels"], "results/tables/tiny/runs.csv", "levels.csv")
    assert said in str(error.value) and "jobs of analysis levels are not as asked" in str(error.value)


def test_partial_tables_leave_out_what_is_not_there(finished, monkeypatch):
    monkeypatch.chdir(finished.path)
    for path in (finished.path / "results/analysis/barrier-points-3").rglob("seed2/*.json"):
        path.unlink()
    said = finished.path / "results/partial/tiny"
    write_partial(read_study(read_yaml(finished.path / "config/config.yaml"), finished.path / "config"))
    table = (said / "PARTIAL-levels.csv").read_text().splitlines()
    assert len(table) == 1 + 2 and all(line.startswith("tiny,winning,1,") for line in table[1:])
    assert (said / "PARTIAL-levels.png").exists() and (said / "PARTIAL-claims.csv").exists()
    assert (
        "barrier-points-3/lineage/tiny/imp/seed2/level01.json: is missing"
        in (said / "MISSING.txt").read_text()
    )
    shutil.rmtree(finished.path / "results/analysis")
    write_partial(read_study(read_yaml(finished.path / "config/config.yaml"), finished.path / "config"))
    assert not (said / "PARTIAL-levels.csv").exists() and (said / "PARTIAL-runs.csv").exists()


def test_a_run_that_failed_has_no_numbers(workspace):
    """Its mask has: an empty layer is what is looked for."""
    sgd = {"name": "sgd", "lr": 1.0e30}
    workspace.tasks["tiny"]["optimizer"] = sgd
    workspace.study |= {"seeds": [1], "levels": 1, "figures": []}
    workspace.study["analyses"] = [LEVELS | {"draw": "values"}, SPARSITY]
    workspace.study["claims"] = [CLAIM | {"levels": [0]}]
    workspace.write()
    workspace.snakemake()
    (row,) = rows(workspace, "levels").values()
    assert row["status"] == "diverged" and "not finite" in row["reason"] and row["test_error_barrier"] == ""
    assert rows(workspace, "sparsity")["winning", "1", "1"]["effective_kept"]
    assert "too few seeds" in (workspace.path / "results/tables/tiny/claims.csv").read_text()


WRONG = [
    (LEVELS | {"analysis": "bariers"}, "analyses: 'bariers' is unknown; allowed: barrier, "),
    (LEVELS | {"point": 3}, "unknown key 'point'; did you mean 'points'?"),
    (LEVELS | {"points": 1}, "points: found 1, allowed: a whole number from 2 to 1000"),
    (SPARSITY | {"points": 3}, "unknown key 'points'"),
    (LEVELS | {"name": "runs"}, "name: is that of a table or a figure already"),
    (LEVELS | {"name": "main"}, "name: is that of a table or a figure already"),
    (LEVELS | {"curves": ["wining"]}, "curve 'wining' is unknown; did you mean 'winning'?"),
    (LEVELS | {"value": "test_barrier"}, "value 'test_barrier' is unknown; did you mean"),
    (LEVELS | {"draw": "paths"}, "draw: figure 'paths' is unknown; did you mean 'path'?"),
    (LEVELS | {"labels": {"random": "r"}}, "label of curve 'random' is unknown"),
    (LEVELS | {"levels": [2]}, "level 2 goes with level 3, which no curve of the study has"),
    (LEVELS | {"levels": [9]}, "levels: found level 9, allowed: up to the study's levels, 2"),
    (SPARSITY | {"levels": [0]}, "found level 0, which has no mask, allowed: levels from 1"),
    (PARTED | {"curves": ["winning"]}, "found copy 0, allowed: a copy of the same start"),
    (PARTED | {"curves": ["alone"]}, "level 1 goes with copy 0 of level 1, which no curve of the study has"),
    (PARTED | {"curves": ["again"], "levels": [1, 2]}, None),
    (SPARSITY | {"curves": ["game"]}, None),
    (LEVELS | {"curves": ["game"]}, "curve game: task cartpole-a2c: family a2c has no `evaluate`"),
    (SPARSITY | {"curves": ["late-0"]}, "found level 0, which has no mask"),
]


@pytest.mark.parametrize(("entry", "said"), WRONG)
def test_what_can_never_be_measured_is_refused_at_planning(workspace, entry, said):
    config = with_analyses(workspace, entry).path / "config"
    more = [{"name": "alone", "task": "tiny", "recipe": "imp", "ticket": "kept-fresh", "copy": 1}]
    more.append({"name": "game", "task": "cartpole-a2c", "recipe": "imp-biases"})
    study = workspace.study | {"curves": [*CURVES, *more]}
    if said is None:
        read_study(study, config)
        return
    with pytest.raises(InputError) as error:
        read_study(study, config)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "more", "said"),
    [
        ("levels.test_error", {}, "analysis levels: value 'test_error' is unknown"),
        ("levels.test_error_barrier", {"curve": "random"}, "analysis levels: curve 'random' is unknown"),
        ("levels.test_error_barrier", {"levels": [2]}, "levels: found 2"),
        ("level.test_error_barrier", {}, "found 'level.test_error_barrier', allowed"),
    ],
)
def test_a_claim_of_a_number_that_no_analysis_gives_is_refused(workspace, value, more, said):
    config = with_analyses(workspace, LEVELS, claims=[CLAIM | {"value": value, **more}]).path / "config"
    with pytest.raises(InputError) as error:
        read_study(workspace.study, config)
    assert said in str(error.value)


def test_a_claim_s_levels_are_those_that_its_analysis_has(workspace):
    config = with_analyses(workspace, LEVELS, claims=[CLAIM]).path / "config"
    assert read_study(workspace.study, config).claims[0]["levels"] == [1]


def test_a_job_asks_for_what_a_training_of_its_task_does_less_what_it_does_not_need():
    study = read_study(read_yaml(REPO / "config/studies/instability-small.yaml"), REPO / "config")
    piece = Piece(study.analyses["parted"], study.curves["resnet-epoch10"], 1, 0)
    asked = study.asked()
    assert {key: path.split("/")[-2:] for key, path in piece.inputs(asked).items() if "weights" in key} == {
        "first/weights": ["level00", "weights.safetensors"],
        "first/weights_record": ["level00", "weights.json"],
        "second/weights": ["copy1", "weights.safetensors"],
        "second/weights_record": ["copy1", "weights.json"],
    }
    assert piece.inputs(asked)["first/start"].endswith("rewind.safetensors")
    settings = piece.settings(asked)
    assert settings["options"] == {"points": 30} and settings["runs"]["second"]["copy"] == 1
    assert "copy" not in settings["runs"]["first"]


def test_a_dense_run_s_barrier_to_level_1_is_its_lineage_s_and_its_instability_is_shared(workspace):
    more = [{"name": "once", "task": "tiny", "recipe": "oneshot"}]
    more += [{"name": "once-again", "task": "tiny", "recipe": "oneshot", "copy": 1}]
    asked = with_analyses(workspace).study
    both = [LEVELS | {"curves": ["winning", "once"]}, PARTED | {"curves": ["again", "once-again"]}]
    asked |= {"curves": [*CURVES, *more], "analyses": both}
    study = read_study(asked, workspace.path / "config")
    found = {
        name: [piece.address for piece in pieces(study.asked(), entry) if (piece.seed, piece.level) == (1, 0)]
        for name, entry in study.analyses.items()
    }
    assert found["levels"] == [
        f"results/analysis/barrier-points-3/lineage/tiny/{recipe}/seed1/level00.json"
        for recipe in ("imp", "oneshot")
    ]
    assert found["parted"] == ["results/analysis/instability-points-3/dense/tiny/seed1/copy1.json"] * 2


def test_a_job_gets_what_a_training_asks_for_but_one_gpu_and_none_for_masks(workspace):
    resources = read_yaml(workspace.path / "config/resources.yaml")
    resources["tasks"]["tiny"] = {"gpu": 4, "threads": 3, "mem_mb": 5000}
    (workspace.path / "config/resources.yaml").write_text(yaml.safe_dump(resources))
    said = with_analyses(workspace, SPARSITY, LEVELS, figures=[]).snakemake("-n", "--cores", "8").stdout
    asked = re.findall(
        r"^rule (\w+):.*?output: (\S+).*?threads: 3.*?gpu=(\d)[^\n]* mem_mb=5000", said, re.M | re.S
    )
    found = {(rule, Path(output).parts[2].partition("-")[0]): gpu for rule, output, gpu in asked}
    assert found["analyse", "barrier"] == "1" and found["analyse", "effective"] == "0"
    assert found["train_level", "tiny"] == "4"


def test_a_job_that_is_stopped_goes_on_where_it_was(tmp_path):
    measured, told = [], iter([False, True, False, False])

    def measure(key):
        measured.append(key)
        return {"x": key, "y": float("nan") if key == 2 else 1.0}

    job = Job({}, {}, {}, process=Process(stop=lambda: next(told)), saved=tmp_path / "a.rows")
    with pytest.raises(SystemExit) as stopped:
        rows_of(job, [1, 2, 3, 4], measure)
    assert stopped.value.code == STOPPED and measured == [1, 2]
    assert rows_of(job, [1, 2, 3, 4], measure) == rows_of(Job({}, {}, {}), [1, 2, 3, 4], measure)
    assert measured[:4] == [1, 2, 3, 4] and rows_of(Job({}, {}, {}), [2], measure) == [{"x": 2, "y": None}]


def test_rows_left_of_other_weights_are_not_taken_up_and_go(finished, monkeypatch):
    """What is saved is named by all that decides it, and none of it is left when a job has ended."""
    monkeypatch.chdir(finished.path)
    study = read_study(finished.study, finished.path / "config")
    piece = next(pieces(study.asked(), study.analyses["levels"]))
    before = Path(piece.address).read_bytes()
    left = Path(piece.address).with_suffix(".0123456789abcdef.rows")
    left.write_text('{"rows": [{"alpha": 0.0}]}')
    Path(piece.address).unlink()
    finished.snakemake("--", piece.address)
    assert Path(piece.address).read_bytes() == before and not left.exists()
    assert not list(finished.path.rglob("*.rows"))


def net(*tensors):
    arrays = {name: np.asarray(array) for name, array in tensors}
    roles = {name: "buffer" if name in ("mean", "seen") else "weight" for name in arrays}
    return Network(arrays, roles, ())


def test_what_is_between_two_networks():
    first = net(("w", np.float32([1, 3])), ("mean", np.float32(2)), ("seen", np.int64(5)))
    second = net(("w", np.float32([3, -1])), ("mean", np.float32(4)), ("seen", np.int64(9)))
    middle = interpolation.between(first, second, 0.25).tensors
    assert middle["w"].tolist() == [1.5, 2.0] and middle["mean"] == 2.5 and middle["seen"] == 5
    assert {array.dtype for array in middle.values()} == {np.dtype("float32"), np.dtype("int64")}
    for alpha, end in ((0.0, first), (1.0, second)):
        found = interpolation.between(first, second, alpha).tensors
        assert found["w"].tobytes() == end.tensors["w"].tobytes() and found["seen"] == 5
    assert interpolation.distance(first, second) == pytest.approx(20**0.5)  # of what is trained


def test_a_barrier_is_the_most_above_the_mean_of_the_ends():
    def row(error, loss):
        named = {"test_error": error, "test_loss": loss, "train_error": None, "train_loss": error}
        return named | {f"{name}_reestimated": 0.5 for name in interpolation.NAMES}

    found = interpolation.barriers([row(0.1, 1.0), row(0.6, np.inf), row(0.3, 1.0)])
    assert found["test_error_barrier"] == pytest.approx(0.4) == found["train_loss_barrier"]
    assert found["test_loss_barrier"] is None and found["train_error_barrier"] is None
    assert found["test_error_barrier_reestimated"] == 0
    falling = [row(0.3, 1.0), row(0.1, 1.0), row(0.5, 1.0)]
    assert interpolation.barriers(falling)["test_error_barrier"] == pytest.approx(0.1)  # the worse end itself


RESNET = {
    "image": [3, 16, 16],
    "model": {"name": "resnet-20", "width": 8, "blocks": 1},
    "optimizer": {"name": "sgd", "lr": 0.3, "momentum": 0.9},
    "batch_size": 20,
    "length": "epoch8",
    "evaluate_every": "epoch4",
    "schedule": {"milestones": ["epoch6"]},
    "rewind_points": ["epoch6"],
}


def train(task, start, digits, folder, copy, point=None):
    rewind = Rewind(point, point) if point else Rewind("init")
    run = Run(
        start,
        None,
        1,
        rewind,
        folder / f"{copy}-{point}",
        "run",
        digits,
        rewind_points=("epoch6",),
        copy=copy,
    )
    (trained,) = runs.family("supervised").train(
        task, [replace(run, rewind_points=tuple(task["rewind_points"]))]
    )
    assert trained.status == "ok" and trained.metrics["test_accuracy"] > 0.9
    return trained


def parted(task, start, networks, digits):
    shapes = {name: array.shape for name, array in start.tensors.items()}
    first, second = (Analysed(shapes, None, start, one) for one in networks)
    return instability.measure(Job(task, {"first": first, "second": second}, {"points": 7}, digits)).numbers


def test_copies_of_a_residual_network_are_stable_when_they_part_late_and_not_at_init(tiny, digits, tmp_path):
    """Frankle et al. 2020, figure 2, in small. An analysis that always finds 0, or always much, fails."""
    task = tiny(**RESNET)
    start = runs.family("supervised").initialise(task, 1)
    first, second = (train(task, start, digits, tmp_path, copy) for copy in (0, 1))
    early = parted(task, start, (first.network, second.network), digits)
    middle = first.rewound["epoch6"][0]
    children = [train(task, middle, digits, tmp_path, copy, "epoch6").network for copy in (0, 1)]
    late = parted(task, middle, children, digits)
    print(early, late)
    for part in ("test", "train"):
        assert early[f"{part}_error_barrier"] > 0.3 and late[f"{part}_error_barrier"] < 0.02
        # statistics of the batches are most of it
        assert early[f"{part}_error_barrier_reestimated"] < early[f"{part}_error_barrier"] / 2
    assert late["distance_over_travelled"] < early["distance_over_travelled"]
    assert parted(task, start, (first.network, first.network), digits)["distance"] == 0
    with pytest.raises(InputError, match="have not begun with the same weights"):
        shapes = {name: array.shape for name, array in start.tensors.items()}
        both = {
            "first": Analysed(shapes, None, start, middle),
            "second": Analysed(shapes, None, middle, middle),
        }
        instability.measure(Job(task, both, {"points": 2}, digits))


def test_lenet_is_stable_from_its_start_and_two_starts_have_a_barrier(tiny, digits, tmp_path):
    """Frankle et al. 2020, section 3: less than 2 %; networks of two starts lie in two basins."""
    task = tiny(length="epoch10")
    family = runs.family("supervised")
    start, other = (family.initialise(task, seed) for seed in (1, 2))
    first, second = (train(task, start, digits, tmp_path, copy).network for copy in (0, 1))
    found = parted(task, start, (first, second), digits)
    assert found["test_error_barrier"] < 0.02 and found["train_error_barrier"] < 0.02
    assert found["distance"] > 0
    shapes = {name: array.shape for name, array in start.tensors.items()}
    ends = {"first": first, "second": train(task, other, digits, tmp_path, 2).network}
    ends = {name: Analysed(shapes, weights=network) for name, network in ends.items()}
    measured = barrier.measure(Job(task, ends, {"points": 7}, digits))
    assert measured.numbers["test_error_barrier"] > 0.1
    assert [row["alpha"] for row in measured.profile] == pytest.approx(np.linspace(0, 1, 7))


def test_statistics_are_those_of_training_examples_and_nothing_else_changes(tiny, digits):
    task = tiny(**RESNET)
    family = runs.family("supervised")
    network = family.initialise(task, 1)
    found = family.statistics(task, network, digits)
    changed = {name for name, a in network.tensors.items() if not np.array_equal(a, found.tensors[name])}
    assert changed and all(name.endswith(("running_mean", "running_var")) for name in changed)
    again = family.statistics(task, found, digits)
    assert all(np.array_equal(a, again.tensors[name]) for name, a in found.tensors.items())
    # the first layer's, as computed from its inputs: a convolution of the normalised images
    import torch
    from lottery.tasks.supervised.after import _examples

    examples = _examples(task, digits, HERE)
    images, _ = examples.examples("train", torch.arange(examples.size("train")))
    first = torch.nn.functional.conv2d(images, torch.from_numpy(network.tensors["0.weight"]), padding=1)
    mean = first.mean((0, 2, 3)).numpy()
    assert found.tensors["1.running_mean"] == pytest.approx(mean, abs=0.02)
    assert family.evaluate(task, network, digits, "test") != family.evaluate(task, found, digits, "test")
    lenet = tiny()
    start = family.initialise(lenet, 1)
    assert family.statistics(lenet, start, digits) is start
