"""What every family owes (runs.Family; invariants 1, 4, 6, 8), on its own smallest entries.

Families are found by themselves: one that comes later is tested here without an edit. What only one family
has is tested beside it.
"""

import copy
import dataclasses
import functools
import importlib
import itertools
import json
import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import typing
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import DATASETS, REPO
from jsonschema import Draft202012Validator
from lottery import masks, plugins, runs, tickets, weights
from lottery.analyses.effective_sparsity import effective_mask
from lottery.config import read_tasks
from lottery.data import kind_of
from lottery.data.images import splits
from lottery.errors import InputError
from lottery.pruning import Pruning
from lottery.rewinding import Rewind
from lottery.runs import Process, Run
from lottery.schemas import read_yaml, validate
from lottery.seeds import seed_for
from lottery.stopping import STOPPED
from lottery.training import checkpoints
from lottery.warm import SINGLE_THREAD

FAMILIES = plugins.names("tasks")
CASES = [(name, entry) for name in FAMILIES for entry in runs.family(name).SMALLEST]
SEAMS = (runs.MODULE, runs.EVALUATE, runs.SCORES)
ROOT = Path(os.environ.get("LOTTERY_DATA", "data"))
LIBRARY = str(REPO / "workflow_scripts")


def having(seam):
    """The cases of the families that have an optional seam."""
    return [case for case in CASES if hasattr(runs.family(case[0]), seam)]


def read(folder, entries):
    """Entries as the tasks they are, read from a YAML file."""
    folder.mkdir(exist_ok=True)
    (folder / "tasks.yaml").write_text(yaml.safe_dump(copy.deepcopy(entries)))
    return read_tasks(folder, DATASETS)


class Case:
    """One of a family's smallest entries, and what has been trained of it already."""

    def __init__(self, family, entry, prepared, folder):
        self.family, self.entry, self.folder = family, entry, folder
        self.task = read(folder, {"small": entry})["small"]
        dataset = family.dataset(self.task)
        self.data = prepared(dataset) if dataset else None
        self.points, self.numbers = tuple(self.task["rewind_points"]), itertools.count()
        self.start = family.initialise(self.task, seed_for(1, "init"))
        self.mask, self.sparse = tickets.random_ticket(
            Pruning(rate=0.5), 1, self.start, np.random.default_rng(0)
        )

    def run(self, **changes):
        """The ticket as a run, with some fields changed and a checkpoint of its own."""
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        values = {
            "start": self.sparse,
            "mask": self.mask,
            "seed": 1,
            "rewind": Rewind(),
            "checkpoint": folder / "checkpoint.safetensors",
            "name": "test",
            "data": self.data,
            "rewind_points": self.points,
            "process": Process(data_root=ROOT),
        }
        return Run(**values | changes)

    def dense_run(self, **changes):
        return self.run(start=self.start, mask=None, **changes)

    def train(self, *asked):
        return self.family.train(self.task, asked)

    @functools.cached_property
    def ticket(self):
        """Trained undisturbed; what every other training of the ticket must end as."""
        return self.train(self.run())[0]

    @functools.cached_property
    def dense(self):
        return self.train(self.dense_run())[0]

    @functools.cached_property
    def copied(self):
        return self.train(self.run(copy=1))[0]

    @functools.cached_property
    def asked(self):
        """How often the ticket's training asks whether it shall stop, where it is not yet time to save."""
        told = Told()
        self.train(self.run(process=self.process(told)))
        return told.asked

    def process(self, stop=runs.never, save_every=1e9):
        return Process(stop=stop, save_every=save_every, data_root=ROOT)


class Told:
    """A wish to stop that is there when it is asked for the n-th time, and from then on."""

    def __init__(self, at=math.inf):
        self.at, self.asked = at, 0

    def __call__(self):
        self.asked += 1
        return self.asked >= self.at


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """prepared(name): the data set of that name, prepared once."""

    @functools.cache
    def prepare(name):
        kind = kind_of(DATASETS[name])
        path = tmp_path_factory.mktemp("data") / f"{name}{kind.SUFFIX}"
        kind.prepare(DATASETS[name], ROOT, path)
        return path

    return prepare


@pytest.fixture(scope="module")
def cases(tmp_path_factory, prepared):
    """cases(family, entry): the case, the same whoever asks."""

    @functools.cache
    def find(name, entry):
        family = runs.family(name)
        return Case(family, family.SMALLEST[entry], prepared, tmp_path_factory.mktemp(name))

    return find


@pytest.fixture(params=CASES, ids="-".join)
def case(request, cases):
    return cases(*request.param)


@pytest.fixture
def rng():
    """Random moments, others in every session; LOTTERY_TEST_SEED brings back those of one that failed."""
    seed = int(os.environ.get("LOTTERY_TEST_SEED", time.time_ns() % 10**6))
    print(f"LOTTERY_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="module")
def forks():
    """Forks a process for each training from one that has imported what the families preload."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([each for name in FAMILIES for each in runs.family(name).PRELOAD])
    with pytest.MonkeyPatch.context() as patch:  # the server is told nothing of this process's sys.path
        for name, value in {**SINGLE_THREAD, "PYTHONPATH": LIBRARY, "PYTHONFAULTHANDLER": "1"}.items():
            patch.setenv(name, value)
        forkserver.ensure_running()
    return context


def bits(trained):
    """All that a training hands back, but for the time it took."""
    parts = {"network": trained.network.tensors, "arrays": trained.arrays}
    for point, (network, optimizer) in trained.rewound.items():
        parts |= {point: network.tensors, f"{point} optimizer": optimizer}
    arrays = {
        (part, name): (array.dtype, array.shape, array.tobytes())
        for part, tensors in parts.items()
        for name, array in tensors.items()
    }
    numbers = json.dumps([trained.metrics, trained.curve, trained.status, trained.reason], sort_keys=True)
    return arrays, numbers


def differ(a, b):
    """Whether two networks differ in any bit."""
    return any(a.tensors[name].tobytes() != b.tensors[name].tobytes() for name in a.tensors)


def pruned(network, mask):
    """All values at pruned places."""
    return np.concatenate([network.tensors[name][~kept] for name, kept in mask.items()])


def can_be_recorded(trained):
    """Metrics go to a JSON file, which has neither NaN nor infinity."""
    return bool(json.dumps(trained.metrics, allow_nan=False))


# --- the seam


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_every_name_of_the_protocol(name):
    family, types = runs.family(name), typing.get_type_hints(runs.Family)
    for constant, annotation in types.items():
        assert isinstance(getattr(family, constant), typing.get_origin(annotation) or annotation), constant
    for function in [key for key, value in vars(runs.Family).items() if callable(value) and key[0] != "_"]:
        assert callable(getattr(family, function)), function
    assert family.METRIC and family.SMALLEST
    assert all(isinstance(module, str) for module in family.PRELOAD)


def test_mypy_accepts_every_family(tmp_path):
    """To mypy a module with `__all__` has no other names, and what it imports and does not use is none."""
    pytest.importorskip("mypy")
    names = [f"lottery.tasks.{name.replace('-', '_')}" for name in FAMILIES]
    lines = ["import lottery.masks", *(f"import {name}" for name in names), "from lottery.runs import Family"]
    lines += [f"family{number}: Family = {name}" for number, name in enumerate(names)]
    lines += ["other: Family = lottery.masks  # type: ignore[assignment]"]  # if accepted: an unused comment
    (tmp_path / "families.py").write_text("\n".join(lines) + "\n")
    settings = {"follow_imports": "silent", "warn_unused_ignores": "True", "cache_dir": tmp_path / "cache"}
    text = ["[mypy]", *(f"{key} = {value}" for key, value in settings.items())]
    for package in ("torch", "numpy", "yaml"):  # the seam has no type of theirs that a family could mistake
        text += [f"[mypy-{package}.*]", "follow_imports = skip"]
    (tmp_path / "mypy.ini").write_text("\n".join(text) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "mypy.ini", "families.py"]
    environment = {**os.environ, "MYPYPATH": LIBRARY}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def properties(schema, *path):
    """(path, schema) of every property, those of inner mappings too."""
    for key, inner in schema.get("properties", {}).items():
        yield (*path, key), inner
        yield from properties(inner, *path, key)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_schema_says_what_is_required_and_what_is_the_default(name):
    schema = runs.family(name).SCHEMA
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert {"family", "length", "rewind_points"} <= schema["properties"].keys()
    for path, inner in [((), schema), *properties(schema)]:
        given = inner.get("properties", {})
        without_default = {key for key, value in given.items() if "default" not in value} - {"gpus"}
        assert without_default == set(inner.get("required", [])), path
        if "default" in inner:
            assert inner.get("required") is None, path  # the default lacks nothing
            Draft202012Validator(inner).validate(inner["default"])


CHOICES = [
    (name, path, inner["enum"])
    for name in FAMILIES
    for path, inner in properties(runs.family(name).SCHEMA)
    if path in (("optimizer", "name"), ("precision",))
]


@pytest.mark.parametrize(("name", "path", "choices"), CHOICES)
def test_the_smallest_entries_have_every_optimizer_and_precision(name, path, choices):
    family = runs.family(name)
    entries = [validate(entry, family.SCHEMA, name) for entry in family.SMALLEST.values()]
    assert {functools.reduce(dict.__getitem__, path, entry) for entry in entries} == set(choices)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_it_asks_of_a_cluster_is_known(name):
    asked = read_yaml(REPO / "config/resources.yaml") | {"families": {name: runs.family(name).RESOURCES}}
    validate(asked, read_yaml(REPO / "config/schemas/resources.schema.yaml"), name)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_it_preloads_can_be_imported(name):
    for module in runs.family(name).PRELOAD:
        importlib.import_module(module)


NO_TORCH = """
import json, sys
from pathlib import Path
from lottery import runs
name, asked = json.loads(sys.argv[1])
family = runs.family(name)
for task, data in asked:
    family.check(task), family.dataset(task), family.architecture(task), family.outputs(task)
    family.together(task), family.steps(task, task["length"]), family.chance(task, data and Path(data))
assert not {"torch", "tensorflow", "jax"} & sys.modules.keys()
"""


@pytest.mark.parametrize("name", FAMILIES)
def test_all_but_drawing_and_training_is_without_torch(name, cases):
    found = [cases(*case) for case in CASES if case[0] == name]
    asked = [(case.task, str(case.data) if case.data else None) for case in found]
    command = [sys.executable, "-c", NO_TORCH, json.dumps([name, asked])]
    environment = {**os.environ, "PYTHONPATH": LIBRARY}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seam_that_a_family_lacks_is_named(name):
    task = {"name": "mine", "family": name}
    for seam in (*SEAMS, "no_such_seam"):
        if hasattr(runs.family(name), seam):
            assert runs.optional(task, seam) is getattr(runs.family(name), seam)
        else:
            with pytest.raises(InputError, match=f"task mine: family {name} has no `{seam}`"):
                runs.optional(task, seam)


# --- before training


def test_a_network_is_drawn_by_its_seed(case):
    first, again, other = (case.family.initialise(case.task, seed) for seed in (5, 5, 6))
    assert not differ(first, again) and differ(first, other)
    assert first.roles.keys() == first.tensors.keys()
    assert set(first.roles.values()) <= set(weights.ROLES)
    assert first.output and set(first.output) <= first.tensors.keys()
    for name, tensor in first.tensors.items():
        assert tensor.dtype == np.float32 or first.roles[name] == "buffer", name
        assert np.isfinite(tensor).all(), name


@pytest.mark.parametrize("case", having(runs.MODULE), indirect=True, ids="-".join)
def test_the_module_has_the_network_s_tensors(case):
    module = case.family.module(case.task)
    tensors = [*module.named_parameters(), *module.named_buffers()]
    found = {name: tuple(tensor.shape) for name, tensor in tensors}
    assert found == {name: array.shape for name, array in case.start.tensors.items()}


def test_chance_is_a_number_and_the_same_when_asked_twice(case):
    first, again = (case.family.chance(case.task, case.data) for _ in range(2))
    assert math.isfinite(first) and first == again


def test_points_come_one_after_the_other(case):
    """A rewind point before the end is what the tests of rewinding below need."""
    found = [case.family.steps(case.task, point) for point in ("init", *case.points, case.task["length"])]
    assert found[0] == 0 and len(found) > 2 and found == sorted(set(found))
    with pytest.raises(InputError, match="'noon' is not a point in"):
        case.family.steps(case.task, "noon")


def test_a_task_is_compatible_with_itself(case, tmp_path):
    again = read(tmp_path, {"again": case.entry})["again"]
    assert case.family.architecture(case.task) == case.family.architecture(again)
    assert case.family.outputs(case.task) == case.family.outputs(again)
    assert case.family.together(case.task) >= 1


# --- training


@pytest.mark.parametrize("kind", ["ticket", "dense"])
def test_a_training_hands_back_what_was_asked_for(case, kind):
    trained, start = getattr(case, kind), case.start if kind == "dense" else case.sparse
    assert (trained.status, trained.reason) == ("ok", "")
    assert math.isfinite(trained.metrics[case.family.METRIC]) and can_be_recorded(trained)
    steps = [row["step"] for row in trained.curve]
    assert {next(iter(row)) for row in trained.curve} == {"step"}
    assert steps == sorted(steps) and steps[-1] > steps[0]
    assert trained.seconds > 0

    assert set(trained.rewound) == set(case.points)
    networks = [start, *(trained.rewound[point][0] for point in case.points), trained.network]
    for a, b in itertools.combinations(networks, 2):
        assert differ(a, b)
    for network in networks:
        assert (network.roles, network.output) == (start.roles, start.output)
        for name, tensor in network.tensors.items():
            same = start.tensors[name]
            assert (tensor.shape, tensor.dtype) == (same.shape, same.dtype), name


def test_pruned_weights_are_0_at_each_rewind_point_and_at_the_end(case):
    networks = [*(network for network, _ in case.ticket.rewound.values()), case.ticket.network]
    assert 2 * masks.kept(case.mask) == pytest.approx(masks.prunable(case.mask), abs=1)
    for network in networks:
        assert not np.any(pruned(network, case.mask))
    for name, kept in case.mask.items():  # and what is left does train
        assert np.any(case.ticket.network.tensors[name][kept] != case.sparse.tensors[name][kept]), name


def test_the_same_run_again_gives_the_same_bits_alone_or_beside_another(case):
    assert bits(case.train(case.run())[0]) == bits(case.ticket)
    together = case.train(case.dense_run(), case.run())
    assert [bits(one) for one in together] == [bits(case.dense), bits(case.ticket)]


def test_a_copy_is_another_training_of_the_same_start(case):
    assert differ(case.copied.network, case.ticket.network)
    assert bits(case.train(case.run(copy=1))[0]) == bits(case.copied)
    first = [one.curve[0] for one in (case.ticket, case.copied)]
    if first[0]["step"] == 0:  # measured before any training
        assert first[0] == first[1]


def test_another_seed_is_another_training(case):
    assert differ(case.train(case.run(seed=2))[0].network, case.ticket.network)


def test_rewinding_goes_on_with_schedule_and_optimizer(case):
    point = case.points[-1]
    network, optimizer = case.dense.rewound[point]
    start = network.with_tensors(masks.apply(case.mask, network.tensors))
    asked = [
        case.run(start=start, rewind=Rewind(point, *rewind), optimizer=state, rewind_points=())
        for rewind, state in ((("start",), {}), ((point,), {}), ((point, "rewound"), optimizer))
    ]
    whole, fresh, rewound = (case.train(run)[0] for run in asked)
    assert {whole.status, fresh.status, rewound.status} == {"ok"}
    assert fresh.curve[-1]["step"] < whole.curve[-1]["step"]
    assert differ(fresh.network, rewound.network) == bool(optimizer)
    assert not np.any(pruned(rewound.network, case.mask))


# --- stopped and killed


def went_on(run):
    """Whether the last start of a run took up a save."""
    return checkpoints.starts(run.checkpoint)[-1]["goes_on_from"] is not None


def until_told(case, run, told, save_every=1e9):
    """Train a run in a process that is told to stop; None if it was told to."""
    try:
        return case.train(dataclasses.replace(run, process=case.process(told, save_every)))[0]
    except SystemExit as left:
        assert left.code == STOPPED
        return None


def test_stopped_again_and_again_it_ends_with_the_same_bits(case, rng):
    run, trained, moments = case.run(), None, [1]
    while not (trained := until_told(case, run, Told(moments[-1]), rng.choice([0, 1e9]))):
        assert len(moments) == 1 or (went_on(run) and len(moments) < 50)
        moments.append(rng.randint(1, case.asked // 3))
    print(f"stopped when asked for the n-th time: {moments[:-1]}")
    assert bits(trained) == bits(case.ticket) and went_on(run)


def test_stopped_at_its_last_chance_it_has_nothing_left_to_train(case):
    run, rest = case.run(), Told()
    assert case.asked > 5 and until_told(case, run, Told(case.asked)) is None
    assert bits(until_told(case, run, rest)) == bits(case.ticket)
    assert rest.asked < case.asked / 2


def test_stopped_side_by_side_both_end_with_the_same_bits(case, rng):
    process = case.process(Told(rng.randint(1, case.asked)))
    asked = [case.run(process=process), case.dense_run(process=process)]
    with pytest.raises(SystemExit):
        case.train(*asked)
    trained = case.train(*(dataclasses.replace(run, process=case.process()) for run in asked))
    assert [bits(one) for one in trained] == [bits(case.ticket), bits(case.dense)]


def test_a_save_of_another_training_is_not_taken_up(case, rng):
    run = case.run()
    assert until_told(case, run, Told(rng.randint(1, case.asked))) is None
    assert bits(case.train(dataclasses.replace(run, copy=1))[0]) == bits(case.copied)


def saved(run):
    """When the checkpoint, a file or a folder, was last written; 0 if there is none."""
    paths = (run.checkpoint, run.checkpoint.with_suffix(""))
    return max((path.stat().st_mtime_ns for path in paths if path.exists()), default=0)


def test_killed_at_random_moments_it_ends_with_the_same_bits(case, rng, forks):
    run, kills = case.run(), 0
    for number in range(3):
        # the first is slowed down, so that it cannot end before it is killed; in the others most moments
        # are in the middle of a step or of a save
        pause = functools.partial(time.sleep, 0 if number else 1 / case.asked)
        asked = dataclasses.replace(run, process=case.process(pause, save_every=0))
        child, before = forks.Process(target=case.family.train, args=(case.task, [asked])), saved(run)
        child.start()
        deadline = time.monotonic() + 300
        while child.is_alive() and saved(run) == before:
            time.sleep(0.001)
            if time.monotonic() > deadline:
                os.kill(child.pid, signal.SIGABRT)  # it says where it hangs
                pytest.fail("nothing was saved in five minutes")
        time.sleep(rng.uniform(0, 0.05 if number else 0.3))
        child.kill()
        child.join()
        kills += child.exitcode == -signal.SIGKILL
        assert child.exitcode in (0, -signal.SIGKILL) and kills
    print(f"{kills} kills")
    assert bits(case.train(run)[0]) == bits(case.ticket) and went_on(run)


# --- failure


def test_a_weight_that_is_no_number_is_a_recorded_divergence(case):
    name, kept = next(iter(case.mask.items()))
    tensor = case.sparse.tensors[name].copy()
    tensor[tuple(np.argwhere(kept)[0])] = np.nan
    bad = case.run(start=case.sparse.with_tensors({**case.sparse.tensors, name: tensor}))
    failed, beside = case.train(bad, case.run())
    assert failed.status == "diverged" and failed.reason and can_be_recorded(failed)
    assert set(failed.rewound) == set(case.points) and not np.any(pruned(failed.network, case.mask))
    assert bits(beside) == bits(case.ticket)


def tells_apart(case, run):
    """Train a run, and say whether the network, where it was evaluated, gave two rows different outputs."""
    from torch.nn.modules.module import register_module_forward_hook

    names, found = [name for name, _ in case.family.module(case.task).named_parameters()], []

    def look(module, inputs, output):
        if not module.training and [name for name, _ in module.named_parameters()] == names:
            rows = output[0] if isinstance(output, tuple) else output
            rows = rows.reshape(-1, rows.shape[-1])
            found.append(bool((rows != rows[0]).any()))

    hook = register_module_forward_hook(look)
    try:
        return case.train(run)[0], any(found)
    finally:
        hook.remove()


@pytest.mark.parametrize("which", ["first", "middle", "all"])
def test_an_empty_layer_is_a_recorded_collapse_unless_the_input_reaches_the_output(case, which):
    names = list(case.mask)
    empty = {"first": names[:1], "middle": [names[len(names) // 2]], "all": names}[which]
    mask = {name: np.full(kept.shape, name not in empty) for name, kept in case.mask.items()}
    start = case.start.with_tensors(masks.apply(mask, case.start.tensors))
    trained, reached = tells_apart(case, case.run(start=start, mask=mask))
    assert set(trained.rewound) == set(case.points) and can_be_recorded(trained)
    assert not np.any(pruned(trained.network, mask))
    if trained.status == "ok":
        assert reached and which != "all"
    else:
        assert trained.status == "collapsed" and all(name in trained.reason for name in empty)
        assert not differ(trained.network, start)


# --- after training


@pytest.mark.parametrize("case", having(runs.EVALUATE), indirect=True, ids="-".join)
def test_evaluating_a_trained_network_gives_the_training_s_own_numbers(case):
    import torch

    torch.set_num_threads(1)
    first = case.family.evaluate(case.task, case.ticket.network, case.data, "test")
    torch.set_num_threads(2)  # what the process was set to before decides nothing
    assert case.family.evaluate(case.task, case.ticket.network, case.data, "test") == first
    assert first and all(math.isfinite(value) for value in first.values())
    for name in first.keys() & {name.removeprefix("test_") for name in case.ticket.metrics}:
        assert first[name] == case.ticket.metrics[f"test_{name}"], name
    assert case.family.evaluate(case.task, case.start, case.data, "test") != first


@pytest.mark.parametrize("case", having(runs.SCORES), indirect=True, ids="-".join)
def test_scores_are_numbers_for_each_weight(case):
    import torch

    torch.set_num_threads(1)
    first = case.family.scores(case.task, case.start, case.data, "snip")
    torch.set_num_threads(2)
    again = case.family.scores(case.task, case.start, case.data, "snip")
    assert set(case.mask) <= first.keys() <= case.start.tensors.keys()
    for name, scores in first.items():
        assert scores.shape == case.start.tensors[name].shape and np.isfinite(scores).all(), name
        assert np.all(scores >= 0) and (name not in case.mask or np.any(scores > 0)), name
        assert scores.tobytes() == again[name].tobytes(), name
    with pytest.raises(InputError, match="'no-such-method'"):
        case.family.scores(case.task, case.start, case.data, "no-such-method")


@pytest.mark.parametrize("case", having(runs.STATISTICS), indirect=True, ids="-".join)
def test_statistics_measured_anew_are_the_same_each_time_and_weights_stay(case):
    network = case.ticket.network
    first, again = (case.family.statistics(case.task, network, case.data) for _ in range(2))
    assert first.roles == network.roles and not differ(first, again)
    for name, array in first.tensors.items():
        assert array.dtype == network.tensors[name].dtype and np.isfinite(array).all(), name
        if network.roles[name] != "buffer" or array.dtype.kind != "f":
            assert array.tobytes() == network.tensors[name].tobytes(), name


@pytest.mark.parametrize("case", having(runs.CONNECTIONS), indirect=True, ids="-".join)
def test_connections_lead_through_every_prunable_weight(case):
    connections = case.family.connections(case.task)
    shapes = {name: array.shape for name, array in case.start.tensors.items()}
    weights_of = {name for name, role in case.start.roles.items() if role == "weight"}
    assert {one.weight for one in connections} - {None} == weights_of
    whole = {name: np.ones(shapes[name], dtype=bool) for name in weights_of}
    assert masks.kept(effective_mask(whole, shapes, connections)) == masks.prunable(whole)
    on_path = effective_mask(case.mask, shapes, connections)
    assert all(not np.any(m & ~case.mask[name]) for name, m in on_path.items())


SUPERVISED = [case for case in CASES if case[0] == "supervised"]
FLOAT32 = [case for case in SUPERVISED if "precision" not in runs.family(case[0]).SMALLEST[case[1]]]


@pytest.mark.parametrize("case", SUPERVISED, indirect=True, ids="-".join)
def test_accuracy_is_that_of_the_training(case):
    found = case.family.evaluate(case.task, case.ticket.network, case.data, "test")
    assert found["accuracy"] == case.ticket.metrics["test_accuracy"]


@pytest.mark.parametrize("case", FLOAT32, indirect=True, ids="-".join)
def test_snip_is_weight_times_gradient_on_ten_images_of_each_class(case):
    import torch

    arrays, _ = weights.load_arrays(case.data)
    members, _ = splits(len(arrays["train_labels"]), case.task["validation"])
    labels = arrays["train_labels"][members]
    ten = np.concatenate([np.flatnonzero(labels == label)[:10] for label in range(10)])
    mean, std = (arrays[key].reshape(1, -1, 1, 1) for key in ("mean", "std"))
    images = torch.from_numpy((arrays["train_images"][members][ten] - mean) / std)
    model = case.family.module(case.task)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in case.start.tensors.items()})
    loss = torch.nn.functional.cross_entropy(model(images), torch.from_numpy(labels[ten]).long())
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = case.family.scores(case.task, case.start, case.data, "snip")
    for name, weight, gradient in zip(names, parameters, torch.autograd.grad(loss, parameters), strict=True):
        expected = (weight * gradient).abs().detach().numpy()
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-8)


# --- configs

ODD = [None, True, -1, 1.5, "noon", "two\nlines", [], ["noon"], [[]], {}, {"noon": 1}, math.nan, math.inf]


def changed(entry, path, value):
    """The entry with another value at a path of keys."""
    *outer, last = path
    entry = inner = copy.deepcopy(entry)
    for key in outer:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return entry


@pytest.mark.parametrize("name", FAMILIES)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(name, tmp_path):
    family = runs.family(name)
    entry = next(iter(family.SMALLEST.values()))
    for path, schema in properties(family.SCHEMA):
        validator, refused = Draft202012Validator(schema), 0
        for value in ODD:
            number = isinstance(value, float) and not math.isfinite(value)  # no JSON schema refuses it
            wrong = number or not validator.is_valid(value)
            try:
                read(tmp_path, {"mine": changed(entry, path, value)})
            except InputError as error:
                assert "\n" not in str(error) and "tasks.yaml: mine: " in str(error), (path, value)
                assert not wrong or path[-1] in str(error) or path == ("family",), str(error)
                refused += 1
            else:
                assert not wrong, (path, value)
        assert refused, path


@pytest.mark.parametrize("name", FAMILIES)
def test_a_key_that_is_unknown_or_missing_is_named(name, tmp_path):
    family = runs.family(name)
    entry = next(iter(family.SMALLEST.values()))
    with pytest.raises(InputError, match="unknown key 'rewind_point'; did you mean 'rewind_points'"):
        read(tmp_path, {"mine": {**entry, "rewind_point": 1}})
    for missing in set(family.SCHEMA["required"]) - {"family"}:
        with pytest.raises(InputError, match=f"mine: '{missing}' is a required property"):
            read(tmp_path, {"mine": {key: value for key, value in entry.items() if key != missing}})
