"""Data-parallel training, here in two processes on the CPU: the same training, and pruned all over."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from conftest import REPO
from lottery import masks, tickets, weights
from lottery.errors import InputError
from lottery.pruning import Pruning
from lottery.resources import read_resources
from lottery.rewinding import Rewind
from lottery.runs import Run
from lottery.seeds import seed_for
from lottery.tasks import supervised
from lottery.tasks.supervised import loop
from lottery.training import ranks

ALL = {"gpu": 0, "threads": 1, "mem_mb": 1000, "runtime": 10, "pack": 1}
CHANGES = {"clip_norm": 1.0, "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}}


@pytest.fixture
def made(tiny, digits, tmp_path):
    def make(**changes):
        task = tiny(**CHANGES, **changes)
        mask, start = tickets.random_ticket(
            Pruning(), 6, supervised.initialise(task, seed_for(1, "init")), np.random.default_rng(0)
        )
        checkpoint = tmp_path / "checkpoint.safetensors"
        return task, Run(start, mask, 1, Rewind(), checkpoint, "test", digits, rewind_points=("epoch1",))

    return make


def test_two_processes_train_as_one(made):
    task, run = made()
    alone = loop.train(task, run)
    together = loop.train(task | {"gpus": 2}, run)
    for name, values in alone.network.tensors.items():
        assert np.allclose(values, together.network.tensors[name], atol=2e-4), name
        if name in run.mask:
            assert np.all(together.network.tensors[name][~run.mask[name]] == 0)
            assert np.all(together.rewound["epoch1"][0].tensors[name][~run.mask[name]] == 0)
    assert [row["step"] for row in together.curve] == [row["step"] for row in alone.curve]
    for mine, other in zip(together.curve, alone.curve, strict=True):
        assert mine["test_accuracy"] == pytest.approx(other["test_accuracy"], abs=0.01)
        assert mine["train_loss"] == pytest.approx(other["train_loss"], abs=1e-3)


def test_processes_are_those_of_the_task_whatever_the_machine_has(made, monkeypatch):
    task, run = made()
    asks = task | {"gpus": 4}
    assert [ranks.number(task, devices) for devices in (0, 1, 8)] == [1, 1, 1]
    assert [ranks.number(asks, devices) for devices in (0, 4, 8)] == [4, 4, 4]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    with pytest.raises(InputError) as refused:
        loop.train(asks, run)
    assert str(refused.value) == (
        "task tiny: gpus: found 3 on this machine, 4 asked for: train it on one that has 4, or change the "
        "task's gpus, which makes it another training"
    )


def test_a_batch_is_checked_as_it_is_shared(tiny):
    assert "gpus" not in tiny()
    assert tiny(gpus=2)["gpus"] == 2
    with pytest.raises(InputError, match=r"tiny: batch_size: found 60, allowed: a multiple of gpus, 7$"):
        tiny(gpus=7)
    normalised = {"model": {"name": "vgg", "convs": [1, 1, 1, 1], "width": 4}, "batch_size": 4}
    tiny(gpus=2, **normalised)
    with pytest.raises(InputError, match=r"tiny: batch_size: found 1 for a GPU, allowed: from 2, where"):
        tiny(gpus=4, **normalised)


def test_a_cluster_is_asked_for_as_many_gpus_as_share_a_training(tiny, tmp_path):
    tasks = {"one": tiny(), "several": tiny(gpus=4), "elsewhere": tiny(gpus=4)}
    (tmp_path / "resources.yaml").write_text(
        json.dumps({"all": ALL, "families": {}, "tasks": {"*": {"threads": 2}, "elsewhere": {"gpu": 0}}})
    )
    schema = REPO / "config/schemas/resources.schema.yaml"
    found = read_resources(tmp_path / "resources.yaml", schema, tasks)
    assert {name: asked["gpu"] for name, asked in found.items()} == {"one": 1, "several": 4, "elsewhere": 0}


def test_the_tasks_of_large_images_say_their_gpus(tasks):
    several = {name: task["gpus"] for name, task in tasks.items() if "gpus" in task}
    models = ("vgg19", "resnet50")
    assert several == {f"{name}-{model}": 8 for name in ("imagenet", "places365") for model in models}
    found = read_resources(
        REPO / "config/resources.yaml", REPO / "config/schemas/resources.schema.yaml", tasks
    )
    assert all(found[name]["gpu"] == 8 for name in several)


SCRIPT = """
import json, sys
from pathlib import Path
from torch import nn
from lottery import logs, masks, weights
from lottery.models import vgg
from lottery.rewinding import Rewind
from lottery.runs import Run
from lottery.tasks.supervised import loop
built = vgg.build
def build(*arguments, **options):
    model = built(*arguments, **options)
    model.flatten = nn.Sequential(nn.Flatten(), nn.Dropout(0.2))
    return model
vgg.build = build
if __name__ == "__main__":
    folder, task = Path(sys.argv[1]), json.loads(sys.argv[2])
    start, mask = weights.load(folder / "start.safetensors")[0], masks.load(folder / "mask.npz")[0]
    checkpoint, data = folder / "checkpoint.safetensors", folder / "digits.safetensors"
    process = logs.process(logs.surroundings())
    run = Run(start, mask, 1, Rewind(), checkpoint, "test", data, process=process)
    trained = loop.train(task, run)
    weights.save(folder / "end.safetensors", trained.network)
    (folder / "end.json").write_text(json.dumps([trained.curve, trained.metrics]))
"""


def shares(process):
    """The processes of a training, less what Python starts beside them."""
    found = psutil.Process(process.pid).children()
    return [child for child in found if "spawn_main" in " ".join(child.cmdline())]


ENDS = [  # how a training ends, and with which status
    (lambda process: process.terminate(), 143),
    (lambda process: process.kill(), -signal.SIGKILL),
    (lambda process: shares(process)[1].kill(), 1),
]


def test_ended_and_started_again_they_give_the_same_bits(made, digits, tmp_path):
    """Of weights, curve and metrics, with batch normalisation and dropout, saved between two rows.

    In three processes, since the sum of two numbers does not depend on their order.
    """
    task, run = made(
        model={"name": "vgg", "convs": [1, 1], "width": 4}, length="epoch8", evaluate_every="epoch4", gpus=3
    )
    weights.save(tmp_path / "start.safetensors", run.start)
    masks.save(tmp_path / "mask.npz", run.mask)
    (tmp_path / "digits.safetensors").symlink_to(digits)
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "script.py", tmp_path, json.dumps(task)]
    checkpoint = tmp_path / "checkpoint.safetensors"
    ended = [tmp_path / "end.safetensors", tmp_path / "end.json"]

    def start(minutes):
        environment = {"PYTHONPATH": str(REPO / "workflow_scripts"), "LOTTERY_CHECKPOINT_MINUTES": minutes}
        return subprocess.Popen(command, env=os.environ | environment)

    assert start("5").wait(300) == 0
    undisturbed = [path.read_bytes() for path in ended]
    for path in ended:
        path.unlink()
    before = None
    for end, status in ENDS:
        process = start("0.0001")
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            assert process.poll() is None
            time.sleep(0.02)
        theirs = shares(process)
        assert len(theirs) == 3
        end(process)
        assert process.wait(100) == status
        assert not psutil.wait_procs(theirs, 60)[1]
        assert not any(path.exists() for path in ended)
        before = checkpoint.stat().st_mtime_ns
    assert start("5").wait(300) == 0
    assert [path.read_bytes() for path in ended] == undisturbed
