"""The warm process: a stage runs in a child of it, or where it is; it ends with the workflow."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from conftest import REPO

LIBRARY = str(REPO / "workflow_scripts")
START = f"import sys; sys.path.insert(0, {LIBRARY!r}); from lottery import warm; "


def call(environment, log, stage="prepare_data", **arguments):
    code = START + f"warm.run_stage({stage!r}, log={str(log)!r}, **{arguments!r})"
    environment = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


@pytest.fixture
def workflow():
    """A process that has started a warm one, and its LOTTERY_WARM."""
    code = (
        START + "import os, time; warm.start(); print(os.environ[warm.VARIABLE], flush=True); time.sleep(600)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "LOTTERY_WARM"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )
    yield process, {"LOTTERY_WARM": process.stdout.readline().strip()}
    process.kill()
    process.wait()


def outputs(tmp_path):
    return {"data": str(tmp_path / "digits.safetensors"), "said": str(tmp_path / "digits.json")}


def settings(dataset):
    return {"dataset": {"name": dataset, "of": dataset}}


@pytest.mark.parametrize("where", ["warm", "off", "another node", "another SLURM job"])
def test_a_stage_gives_the_same_files_wherever_it_runs(workflow, tmp_path, where):
    environment = dict(workflow[1])
    if where == "another SLURM job":
        environment["SLURM_JOB_ID"] = "7"
    elif where != "warm":
        environment["LOTTERY_WARM"] = {"off": "off", "another node": "elsewhere/:/tmp/socket"}[where]
    done = call(
        environment, tmp_path / "log", settings=settings("digits"), root=".", outputs=outputs(tmp_path)
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
    assert '"of": "digits"' in (tmp_path / "digits.json").read_text()


@pytest.mark.parametrize("where", ["warm", "off"])
def test_an_error_of_the_user_s_is_one_line_in_the_log(workflow, tmp_path, where):
    environment = workflow[1] if where == "warm" else {"LOTTERY_WARM": "off"}
    done = call(
        environment, tmp_path / "log", settings=settings("digit"), root=".", outputs=outputs(tmp_path)
    )
    assert done.returncode == 1
    said = (tmp_path / "log").read_text()
    assert said.startswith("error: datasets: 'digit' is unknown; allowed: cifar10,") and said.count("\n") == 1


def test_it_ends_with_the_workflow(workflow):
    process, environment = workflow
    server = psutil.Process(process.pid).children()[0]
    folder = os.path.dirname(environment["LOTTERY_WARM"].rpartition(":")[2])
    for _ in range(2000):
        if os.path.exists(f"{folder}/socket"):
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    server.wait(100)
    assert not os.path.exists(folder)
