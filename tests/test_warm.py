"""The warm process: a stage runs in a child of it, or where it is; it ends with the workflow."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from conftest import REPO
from lottery import weights
from lottery.addresses import files
from lottery.files import checksum
from lottery.seeds import seed_for
from lottery.tasks import supervised

LIBRARY = str(REPO / "workflow_scripts")
START = f"import sys; sys.path.insert(0, {LIBRARY!r}); from lottery import warm; "


def call(environment, log, **arguments):
    code = START + f"warm.run_stage('initialise', log={str(log)!r}, inputs={{}}, **{arguments!r})"
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
    return files(str(tmp_path), "init", "init_record")


@pytest.mark.parametrize("where", ["warm", "off", "another node", "another SLURM job"])
def test_a_stage_gives_the_same_files_wherever_it_runs(workflow, tmp_path, where, tiny):
    task = tiny()
    environment = dict(workflow[1])
    if where == "another SLURM job":
        environment["SLURM_JOB_ID"] = "7"
    elif where != "warm":
        environment["LOTTERY_WARM"] = {"off": "off", "another node": "elsewhere/:/tmp/socket"}[where]
    settings = {"task": task, "seed": 1}
    done = call(environment, tmp_path / "log", settings=settings, outputs=outputs(tmp_path))
    assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
    network, _ = weights.load(tmp_path / "init.safetensors")
    expected = supervised.initialise(task, seed_for(1, "init"))
    assert all(a.tobytes() == expected.tensors[name].tobytes() for name, a in network.tensors.items())
    assert checksum(expected.tensors) in (tmp_path / "init.json").read_text()


@pytest.mark.parametrize("where", ["warm", "off"])
def test_an_error_of_the_user_s_is_one_line_in_the_log(workflow, tmp_path, where, tiny):
    environment = workflow[1] if where == "warm" else {"LOTTERY_WARM": "off"}
    settings = {"task": tiny() | {"model": {"name": "lenet"}}, "seed": 1}
    done = call(environment, tmp_path / "log", settings=settings, outputs=outputs(tmp_path))
    assert done.returncode == 1
    said = (tmp_path / "log").read_text()
    assert said.startswith("error: models: 'lenet' is unknown; allowed: conv,") and said.count("\n") == 1


@pytest.mark.parametrize("value", ["five", "-1", "nan"])
@pytest.mark.parametrize("variable", ["LOTTERY_CHECKPOINT_MINUTES", "LOTTERY_RANKS"])
def test_an_environment_variable_that_is_no_number_is_one_line(tmp_path, variable, value, tiny):
    settings = {"task": tiny(), "seed": 1}
    done = call({"LOTTERY_WARM": "off", variable: value}, tmp_path / "log", settings=settings, outputs={})
    assert done.returncode == 1
    assert done.stderr == f"error: {variable}: found '{value}', allowed: a number that is not negative\n"


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
