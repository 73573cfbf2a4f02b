"""A killed training: no bit changes, and it goes on from its last save."""

import contextlib
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
    """The scripts of Snakemake's trainings, and the forked trainings themselves."""
    scripts, warm, forked = [], set(), []
    for process in snakemake.children(recursive=True):  # parents first
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            line = " ".join(process.cmdline())
            if "/scripts/tmp" in line and "sh -c" not in line:
                scripts.append(process)
            elif "lottery.warm" in line and process.ppid() not in warm:
                warm.add(process.pid)
            elif "lottery.warm" in line and any(file.fd == 1 for file in process.open_files()):
                forked.append(process)  # with its log as output: importing torch forks for a moment too
    return scripts, forked


def test_ten_kills_at_random_moments_change_no_bit(workspace, tmp_path):
    changes = {"length": "epoch1600", "evaluate_every": "epoch1", "rewind_points": ["epoch1", "epoch99"]}
    workspace.tasks["tiny"] |= changes
    workspace.write()
    target = "results/dense/tiny/seed1/metrics.json"
    workspace.snakemake("--", target)
    undisturbed = contents(workspace.path / "results/dense")
    shutil.rmtree(workspace.path / "results/dense")

    rng, run, kills = random.Random(0), None, 0
    saved = workspace.path / "results/dense/tiny/seed1/checkpoint.safetensors"
    environment = {**os.environ, "LOTTERY_CHECKPOINT_MINUTES": "0.002"}
    command = workspace.command("--nolock", "--retries", "10", "--", target)
    while kills < 10:
        if run is None or run.poll() is not None:
            run = subprocess.Popen(command, cwd=workspace.path, env=environment, stderr=subprocess.DEVNULL)
            snakemake = psutil.Process(run.pid)
        # three kills at any moment, the other seven once there is a save to go on from
        while run.poll() is None:
            if all(training_processes(snakemake)) and (kills < 3 or saved.exists()):
                break
            time.sleep(0.05)
        assert run.poll() is None, "the training ended before ten kills"
        scripts, forked = training_processes(snakemake)
        time.sleep(rng.uniform(0, 0.4))
        victim = rng.choice([*scripts, *forked, snakemake])
        try:
            victim.kill()
        except psutil.NoSuchProcess:  # it has ended by itself, importing torch forks for a moment too
            continue
        kills += 1
        psutil.wait_procs([victim, *scripts, *forked], timeout=300)
        assert saved.exists() or kills <= 3  # no kill loses what an earlier one had saved
        assert not (workspace.path / target).exists()
    run.wait(300)  # unless it was killed itself, it tries again: never two of them at once
    workspace.snakemake("--nolock", "--", target, env=environment)
    assert contents(workspace.path / "results/dense") == undisturbed
    said = json.loads((workspace.path / target).with_name("provenance.json").read_text())
    assert said["starts"][-1]["goes_on_from"] is not None


def test_sigterm_saves_and_the_next_run_goes_on(workspace):
    workspace.tasks["tiny"] |= {"length": "epoch1000", "evaluate_every": "epoch1"}
    workspace.write()
    target = "results/dense/tiny/seed1/metrics.json"
    run = subprocess.Popen(workspace.command("--", target), cwd=workspace.path, stderr=subprocess.PIPE)
    snakemake = psutil.Process(run.pid)
    log = workspace.path / "results/logs/dense/tiny/seed1.log"
    while not (log.exists() and "step" in log.read_text()):
        time.sleep(0.05)
    training_processes(snakemake)[0][0].send_signal(signal.SIGTERM)
    assert run.wait(300) == 1
    assert "stopped; the state is saved" in log.read_text()
    workspace.snakemake("--", target)
    assert json.loads((workspace.path / target).read_text())["metrics"]["steps"] == 1000 * 22
