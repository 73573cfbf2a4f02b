"""What the terminal says of a study that fails, does not learn or is stopped, and how to go on."""

import os
import signal
import subprocess
import time

import pytest
import yaml
from lottery import endings

QUIET = ("--quiet", "rules")  # as `make study` has it


def spoil(workspace, stage, text):
    """Let a stage of the workspace's own library fail."""
    path = workspace.path / "workflow_scripts/lottery/stages.py"
    begin = f"def {stage}(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> Training:\n"
    assert begin in path.read_text()
    path.write_text(path.read_text().replace(begin, f"{begin}    {text}\n", 1))


def lines(done, word):
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(word)]


def test_a_failed_training_is_one_clear_line_at_once_and_at_the_end(workspace):
    workspace.study["seeds"] = [1]
    workspace.write()
    winning, other = "if settings['ticket'] == 'winning'", "else"
    spoil(workspace, "train_ticket", f"{other}: raise RuntimeError('boom\\nbang')")
    spoil(workspace, "train_ticket", f"{winning}: raise InputError('the moon is not full')")
    done = workspace.snakemake(*QUIET, "--keep-going", check=False, env={"LOTTERY_AGAIN": "make study"})
    assert done.returncode == 1
    said = lines(done, "FAILED ")
    ladder = os.listdir(workspace.path / "results/logs/random/tiny")[0]
    moon, boom = "error: the moon is not full; log: results/logs", "RuntimeError: boom; log: results/logs"
    level_1 = f"train_level task=tiny recipe=imp seed=1 level=01: {moon}/lineage/tiny/imp/seed1/level01.log"
    random = [
        f"train_random task=tiny ladder={ladder} seed=1 level={level}: "
        f"{boom}/random/tiny/{ladder}/seed1/level{level}.log"
        for level in ("01", "02")
    ]
    expected = [f"FAILED {failed}; to go on: make study" for failed in (level_1, *random)]
    assert sorted(said) == sorted(2 * expected), done.stderr
    assert sorted(said[-3:]) == sorted(expected)
    assert "RuleException" not in done.stderr and "CalledProcessError" not in done.stderr
    log = max((workspace.path / ".snakemake/log").glob("*.log"), key=os.path.getmtime)
    assert set(expected) <= set(log.read_text().splitlines())


def test_without_make_the_command_is_snakemake_s_own(workspace):
    spoil(workspace, "train_dense", "raise RuntimeError('boom')")
    workspace.write()
    done = workspace.snakemake("--", "results/dense/tiny/seed2/metrics.json", check=False)
    said = lines(done, "FAILED ")
    assert len(said) == 2 and said[0] == said[1]
    assert said[0].endswith("to go on: snakemake --cores 2 -- results/dense/tiny/seed2/metrics.json")


def test_a_process_that_was_killed_is_said_so(workspace):
    spoil(workspace, "train_dense", "import os; os.kill(os.getpid(), 9)")
    workspace.write()
    done = workspace.snakemake(*QUIET, "--", "results/dense/tiny/seed2/metrics.json", check=False)
    assert "error: the training's process was killed by signal 9; log: " in lines(done, "FAILED ")[0]


def test_runs_that_do_not_learn_are_named_at_the_end_and_only_those_made_now(workspace):
    workspace.tasks["tiny"]["optimizer"] = {"name": "sgd", "lr": 1.0e30}
    rate = {"harsh": {"rate": 0.99, "rewind": {"weights": "init"}}}
    (workspace.path / "config/recipes/harsh.yaml").write_text(yaml.safe_dump(rate))
    workspace.study |= {"seeds": [1], "levels": 1, "figures": []}
    workspace.write()
    done = workspace.snakemake(*QUIET)
    said = done.stdout + done.stderr
    assert "3 of the 3 trainings made now diverged or collapsed (count at chance):" in said
    assert "\n  results/dense/tiny/seed1: diverged: loss not finite at step " in said
    log = (workspace.path / "results/logs/dense/tiny/seed1.log").read_text()
    assert "results/dense/tiny/seed1: diverged: loss not finite at step" in log
    assert "it counts at chance, 0.1" in log
    workspace.study["seeds"] = [1, 2]
    workspace.write()
    done = workspace.snakemake(*QUIET)
    said = done.stdout + done.stderr
    assert "3 of the 3 trainings" in said and "seed2: diverged" in said and "seed1: diverged" not in said


def test_many_runs_that_do_not_learn_are_a_count_and_the_first(tmp_path):
    class Job:
        def __init__(self, path):
            self.output, self.is_group = {"metrics": path}, lambda: False

    paths = []
    for number in range(10_000):
        paths.append(tmp_path / f"{number:05d}.json")
        paths[-1].write_text('{"status": "collapsed", "reason": "no weights left"}' if number else "{")
    logger, said = type("Logger", (), {})(), []
    logger.warning = logger.error = said.append
    jobs = [Job(path) for path in paths]
    part = {"scheduler": type("S", (), {"failed": []}), "dag": type("D", (), {"finished_jobs": jobs})}
    began = time.monotonic()
    endings.Ending(type("Workflow", (), part), logger).tell()
    assert time.monotonic() - began < 10
    assert len(said) == 1 and said[0].count("\n") == 11
    assert said[0].startswith("9999 of the 10000 trainings") and said[0].endswith("\n  ... and 9989 more")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "its log is empty: it has not begun, or its process was killed"),
        ("step 1\nerror: no such file\n", "error: no such file"),
        ("Traceback (most recent call last):\n  File x\n    f()\nValueError: 3\nmore\n", "ValueError: 3"),
        ("step 1\nKilled\n", "Killed"),
    ],
)
def test_why_is_what_the_log_ends_with(tmp_path, text, expected):
    (tmp_path / "log").write_text(text)
    assert endings.why([str(tmp_path / "missing"), str(tmp_path / "log")]) == expected


@pytest.mark.parametrize("warm", [{}, {"LOTTERY_WARM": "off"}])
def test_ctrl_c_ends_in_one_line_and_no_traceback(workspace, warm):
    workspace.tasks["tiny"] |= {"length": "epoch3000", "evaluate_every": "epoch1"}
    workspace.write()
    command = workspace.command(*QUIET, "--", "results/dense/tiny/seed1/metrics.json")
    log = workspace.path / "results/logs/dense/tiny/seed1.log"
    restored = "import signal, sys, os; signal.signal(2, signal.default_int_handler); "
    restored += "os.execv(sys.argv[1], sys.argv[1:])"
    run = subprocess.Popen(
        [command[0], "-c", restored, *command],
        cwd=workspace.path,
        env={**os.environ, **warm},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while not (log.exists() and "step" in log.read_text()) and run.poll() is None:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=120)[0]
    assert run.returncode == 1
    assert "Exception" not in said and "Traceback" not in said and "Error" not in said, said
    assert [line for line in said.splitlines() if "Ctrl-C" in line] == [
        "Stopped by Ctrl-C; trainings under way save their state; "
        "to go on: snakemake --cores 2 --quiet rules -- results/dense/tiny/seed1/metrics.json"
    ]
    for _ in range(300):
        if "stopped; the state is saved" in log.read_text():
            break
        time.sleep(0.1)
    assert (workspace.path / "results/dense/tiny/seed1/checkpoint.safetensors").exists(), log.read_text()
