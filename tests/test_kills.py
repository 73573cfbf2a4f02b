"""A killed training: no bit changes, and it goes on from its last save."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import psutil
from conftest import contents


def training_processes(snakemake):
    """The Snakemake process, the scripts of its trainings, and the forked trainings themselves."""
    tree = [snakemake, *snakemake.children(recursive=True)]
    named = {}
    for process in tree:
        try:
            named[process] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    scripts = [p for p, line in named.items() if "/scripts/tmp" in line and "sh -c" not in line]
    warm = [p for p, line in named.items() if "lottery.warm" in line]
    forked = [p for p in warm if p.ppid() in {other.pid for other in warm}]
    return scripts, forked


def test_ten_kills_at_random_moments_change_no_bit(workspace, tmp_path):
    changes = {"length": "epoch800", "evaluate_every": "epoch1", "rewind_points": ["epoch1", "epoch99"]}
    workspace.tasks["tiny"] |= changes
    workspace.write()
    target = "results/dense/tiny/seed1/metrics.json"
    workspace.snakemake("--", target)
    undisturbed = contents(workspace.path / "results/dense")
    shutil.rmtree(workspace.path / "results/dense")

    rng, kills, resumed = random.Random(0), 0, 0
    environment = {**os.environ, "LOTTERY_CHECKPOINT_MINUTES": "0.002"}
    while kills < 10:
        run = subprocess.Popen(
            workspace.command("--nolock", "--", target),
            cwd=workspace.path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        snakemake = psutil.Process(run.pid)
        while run.poll() is None and not all(training_processes(snakemake)):
            time.sleep(0.05)
        assert run.poll() is None, "the training ended before ten kills"
        scripts, forked = training_processes(snakemake)
        time.sleep(rng.uniform(0, 0.4))
        for victim in rng.choice([scripts, forked, [snakemake]]):
            victim.send_signal(signal.SIGKILL)
            kills += 1
        run.wait(60)
        psutil.wait_procs(forked, timeout=60)
        resumed += (workspace.path / "results/dense/tiny/seed1/checkpoint.safetensors").exists()
        assert not (workspace.path / target).exists()
    workspace.snakemake("--nolock", "--", target, env=environment)
    assert contents(workspace.path / "results/dense") == undisturbed
    assert resumed > 5


def test_sigterm_saves_and_the_next_run_goes_on(workspace):
    workspace.tasks["tiny"] |= {"length": "epoch300", "evaluate_every": "epoch1"}
    workspace.write()
    target = "results/dense/tiny/seed1/metrics.json"
    run = subprocess.Popen(workspace.command("--", target), cwd=workspace.path, stderr=subprocess.PIPE)
    snakemake = psutil.Process(run.pid)
    while not (scripts := training_processes(snakemake)[0]) or not training_processes(snakemake)[1]:
        time.sleep(0.05)
    time.sleep(1.5)
    scripts[0].send_signal(signal.SIGTERM)
    assert run.wait(60) == 1
    assert "stopped; the state is saved" in (workspace.path / "results/logs/dense/tiny/seed1.log").read_text()
    workspace.snakemake("--", target)
    assert json.loads((workspace.path / target).read_text())["metrics"]["steps"] == 300 * 22
