"""Data-parallel training, here in two processes on the CPU: the same training, and pruned all over."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import REPO
from lottery import masks, tickets, weights
from lottery.errors import InputError
from lottery.pruning import Pruning
from lottery.rewinding import Rewind
from lottery.runs import Process, Run
from lottery.seeds import seed_for
from lottery.tasks import supervised
from lottery.tasks.supervised import loop
from lottery.training import ranks

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
    together = loop.train(task, replace(run, process=Process(ranks=2)))
    for name, values in alone.network.tensors.items():
        assert np.allclose(values, together.network.tensors[name], atol=2e-4), name
        if name in run.mask:
            assert np.all(together.network.tensors[name][~run.mask[name]] == 0)
            assert np.all(together.rewound["epoch1"][0].tensors[name][~run.mask[name]] == 0)
    assert [row["step"] for row in together.curve] == [row["step"] for row in alone.curve]
    for mine, other in zip(together.curve, alone.curve, strict=True):
        assert mine["test_accuracy"] == pytest.approx(other["test_accuracy"], abs=0.01)
        assert mine["train_loss"] == pytest.approx(other["train_loss"], abs=1e-3)


def test_a_batch_that_cannot_be_shared_is_refused():
    assert (ranks.number(4, None, 60), ranks.number(4, 2, 60), ranks.number(0, None, 60)) == (4, 2, 1)
    with pytest.raises(InputError, match="batch_size: 60 is not a multiple of the 7 GPUs"):
        ranks.number(1, 7, 60)


SCRIPT = """
import json, sys
from pathlib import Path
from lottery import logs, masks, weights
from lottery.rewinding import Rewind
from lottery.runs import Run
from lottery.tasks.supervised import loop
if __name__ == "__main__":
    folder, task = Path(sys.argv[1]), json.loads(sys.argv[2])
    start, mask = weights.load(folder / "start.safetensors")[0], masks.load(folder / "mask.npz")[0]
    checkpoint, data = folder / "checkpoint.safetensors", folder / "digits.safetensors"
    process = logs.process(logs.surroundings())
    run = Run(start, mask, 1, Rewind(), checkpoint, "test", data, process=process)
    weights.save(folder / "end.safetensors", loop.train(task, run).network)
"""


def test_stopped_together_they_go_on_with_the_same_bits(made, digits, tmp_path):
    """A batch-normalised network, whose statistics are those of the first process."""
    task, run = made(
        model={"name": "vgg", "convs": [1, 1], "width": 4}, length="epoch20", evaluate_every="epoch10"
    )
    weights.save(tmp_path / "start.safetensors", run.start)
    masks.save(tmp_path / "mask.npz", run.mask)
    (tmp_path / "digits.safetensors").symlink_to(digits)
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(REPO / "workflow_scripts"), "LOTTERY_RANKS": "2"}
    command = [sys.executable, tmp_path / "script.py", tmp_path, json.dumps(task)]

    def start(minutes="5"):
        return subprocess.Popen(command, env={**environment, "LOTTERY_CHECKPOINT_MINUTES": minutes})

    assert start().wait(600) == 0
    undisturbed = Path(tmp_path / "end.safetensors").read_bytes()
    (tmp_path / "end.safetensors").unlink()
    (tmp_path / "checkpoint.safetensors").unlink(missing_ok=True)
    process = start("0.01")
    while not (tmp_path / "checkpoint.safetensors").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 143
    assert not (tmp_path / "end.safetensors").exists()
    assert start().wait(600) == 0
    assert (tmp_path / "end.safetensors").read_bytes() == undisturbed
