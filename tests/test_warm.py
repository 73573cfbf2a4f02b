"""The warm process: a stage runs in a child of it, or where it is; it ends with the workflow."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

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


def call(environment, log, library=LIBRARY, **arguments):
    code = (
        START.replace(LIBRARY, library)
        + f"warm.run_stage('initialise', log={str(log)!r}, inputs={{}}, **{arguments!r})"
    )
    environment = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


@contextmanager
def started(library=LIBRARY, **environment):
    """A process that has started a warm one, and its LOTTERY_WARM."""
    code = START.replace(LIBRARY, library)
    code += "import os, time; warm.start(); print(os.environ[warm.VARIABLE], flush=True); time.sleep(600)"
    environment = {key: value for key, value in os.environ.items() if key != "LOTTERY_WARM"} | environment
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )
    yield process, {"LOTTERY_WARM": process.stdout.readline().strip()}
    process.kill()
    process.wait()


@pytest.fixture
def workflow():
    with started() as found:
        yield found


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
@pytest.mark.parametrize("variable", ["LOTTERY_CHECKPOINT_MINUTES"])
def test_an_environment_variable_that_is_no_number_is_one_line(tmp_path, variable, value, tiny):
    settings = {"task": tiny(), "seed": 1}
    done = call({"LOTTERY_WARM": "off", variable: value}, tmp_path / "log", settings=settings, outputs={})
    assert done.returncode == 1
    assert done.stderr == f"error: {variable}: found '{value}', allowed: a number that is not negative\n"
    assert (tmp_path / "log").read_text() == done.stderr


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


def test_modules_of_the_user_s_environment_are_found_by_trainings_too(workspace, tmp_path):
    """A model whose code is on the user's PYTHONPATH, as an activated environment has it."""
    (tmp_path / "theirs.py").write_text("from lottery.models.lenet_300_100 import *\n")
    (workspace.path / "workflow_scripts/lottery/models/mine.py").write_text("from theirs import *\n")
    workspace.tasks["tiny"]["model"] = {"name": "mine"}
    workspace.write()
    before = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *before])}
    done = workspace.snakemake("--", "results/dense/tiny/seed1/init.json", check=False, env=environment)
    log = workspace.path / "results/logs/dense/tiny/seed1/init.log"
    assert done.returncode == 0, log.read_text()


BASE = (
    "from lottery.tasks import supervised\nimport time\n"
    "globals().update({name: one for name, one in vars(supervised).items() if name[0] != '_'})\n"
)
FAMILIES = {
    "slow": BASE
    + "def initialise(task, seed):\n    time.sleep(8)\n    return supervised.initialise(task, seed)",
    "no-import": "import nowhere",
    "no-preload": BASE + "PRELOAD = ('nowhere',)",
    "leaving": BASE + "PRELOAD = ('lottery.leaves',)",
    "not-together": BASE + "def together(task):\n    raise RuntimeError('how many?')",
}
SAID = {
    "no-import": "ModuleNotFoundError: No module named 'nowhere'",
    "no-preload": "ModuleNotFoundError: No module named 'nowhere'",
    "leaving": "SystemExit: 3",
    "not-together": "RuntimeError: how many?",
    "unknown": "error: tasks: 'unknown' is unknown; allowed: ",
}


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """A copy of the library with families that break the process that loads them."""
    library = tmp_path_factory.mktemp("library") / "workflow_scripts"
    shutil.copytree(LIBRARY, library, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FAMILIES.items():
        if text:
            (library / f"lottery/tasks/{name.replace('-', '_')}.py").write_text(text)
    (library / "lottery/leaves.py").write_text("raise SystemExit(3)")
    return str(library)


REQUESTS = {
    "no JSON": (b"{", "no request that can be read"),
    "no object": (b"[]", "no request that can be read"),
    "no task": (json.dumps({"arguments": {"settings": {}}, "cwd": "/"}).encode(), "KeyError: 'task'"),
    "cut off": (None, "0 bytes of 9"),
}


def test_an_error_of_one_job_is_that_job_s_alone(families, tmp_path, tiny):
    """Families that cannot be loaded and requests that cannot be read, while a job is under way and after."""
    with started(families) as (_, environment):
        arguments = {"library": families, "outputs": outputs(tmp_path / "slow")}
        slow = tiny() | {"family": "slow"}
        done = []
        arguments["settings"] = {"task": slow, "seed": 1}
        under_way = threading.Thread(
            target=lambda: done.append(call(environment, tmp_path / "slow.log", **arguments))
        )
        under_way.start()
        for name, message in SAID.items():
            settings = {"task": tiny() | {"family": name}, "seed": 1}
            log, made = tmp_path / f"{name}.log", outputs(tmp_path / name)
            said = call(environment, log, library=families, settings=settings, outputs=made)
            assert said.returncode == 1 and message in log.read_text(), (name, said.stderr, log.read_text())
        for name, (request, message) in REQUESTS.items():
            with socket.socket(socket.AF_UNIX) as connection, open(tmp_path / f"{name}.log", "w") as log:
                connection.connect(environment["LOTTERY_WARM"].rpartition(":")[2])
                length = 9 if request is None else len(request)
                socket.send_fds(connection, [length.to_bytes(8, "big")], [log.fileno()])
                connection.sendall(request or b"")
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(60)
                assert connection.recv(1) == b""
            assert message in (tmp_path / f"{name}.log").read_text(), name
        under_way.join()
        assert done[0].returncode == 0, (tmp_path / "slow.log").read_text()
        assert (tmp_path / "slow/init.json").exists()
