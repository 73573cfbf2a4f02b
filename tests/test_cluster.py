"""The workflow on a real SLURM, and on submitit's local cluster, through everything that goes wrong there.

Each scenario says how often the training was started and how many seconds of work were lost, and its
results are those of an undisturbed run, bit for bit. Scenarios mostly wait, so several run at a time.
"""

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
import slurm_cluster
import yaml
from conftest import TINY, Workspace, contents
from snakemake_executor_plugin_submitit.spool import write
from snakemake_executor_plugin_submitit.worker import Worker

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
pytestmark = pytest.mark.skipif(not slurm_cluster.installed(), reason="SLURM is not installed")

DRILL = TINY | {"length": "epoch700", "evaluate_every": "epoch50", "rewind_points": ["epoch1", "epoch100"]}
LONG = DRILL | {"length": "epoch2000", "evaluate_every": "epoch500"}  # longer than half a minute
INTERVAL = 2.0  # seconds between two saves of a training's state
AT_ONCE = 3
SAVED = {"checkpoint.safetensors", "checkpoint.starts.json"}


class Drill(Workspace):
    """A training on a cluster, to be disturbed."""

    def __init__(self, path, cluster, slurm, nodes, task="drill"):
        self.profile, self.slurm, self.nodes, self.process = cluster, slurm, nodes, None
        self.resources = {"gpu": 0, "threads": 1, "mem_mb": 3000, "runtime": 10, "pack": 1}
        if cluster == "slurm":
            self.resources["constraint"] = nodes
        self.options = {"submitit-queue-poll": 2, "submitit-linger": 0, "retries": 2}
        super().__init__(path)
        self.tasks |= {"drill": dict(DRILL), "long": dict(LONG)}
        self.target = f"results/dense/{task}/seed1/metrics.json"
        self.checkpoint = (self.path / self.target).with_name("checkpoint.safetensors")
        self.lost, self.bound = 0.0, INTERVAL + 4.0

    def write(self):
        super().write()
        asked = {"all": self.resources, "families": {"supervised": self.resources}}
        (self.path / "config/resources.yaml").write_text(yaml.safe_dump(asked))
        profile = self.path / self.profile / "config.yaml"
        profile.write_text(yaml.safe_dump(yaml.safe_load(profile.read_text()) | self.options))

    def command(self, *arguments):
        return [*super().command()[:3], "--profile", self.profile, *arguments]

    @property
    def environment(self):
        return {**os.environ, **self.slurm.env, "LOTTERY_CHECKPOINT_MINUTES": str(INTERVAL / 60)}

    def start(self, *arguments):
        self.write()
        with open(self.path / "snakemake.log", "a") as log:
            self.process = subprocess.Popen(
                self.command(*(arguments or ("--", self.target))),
                cwd=self.path,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self):
        return (self.path / "snakemake.log").read_text()

    def starts(self):
        """When this training was started, whether it has ended or not."""
        if (self.path / self.target).exists():
            return json.loads((self.path / self.target).with_name("provenance.json").read_text())["starts"]
        return json.loads(self.checkpoint.with_suffix(".starts.json").read_text())["starts"]

    def wait_until_saved(self):
        wait(lambda: self.checkpoint.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said

    def job(self):
        """Id of the one job that runs."""
        wait(lambda: re.search(r"is slurm job (\d+)", self.said))
        return re.findall(r"is slurm job (\d+)", self.said)[-1]

    def node(self):
        return self.slurm.run("squeue", "-h", "-j", self.job(), "-o", "%N")

    def killed(self, lost=True):
        """Count the work since the last save, if it is lost."""
        self.lost += time.time() - self.checkpoint.stat().st_mtime if lost else 0.0

    def finish(self, undisturbed, starts, attempts=1):
        """Wait for the end. Returns what it cost."""
        assert self.process.wait(900) == 0, self.said
        made = contents((self.path / self.target).parent)
        assert made == undisturbed[self.target.split("/")[2]], self.said
        assert len(self.starts()) == starts, (self.starts(), self.said)
        assert self.said.count("Trying to restart job") == attempts - 1, self.said
        assert self.lost < self.bound
        return f"started {starts} times, {self.lost:.1f} s of work lost"


def wait(condition, seconds=600):
    slurm_cluster.Cluster.wait_for(condition, seconds)


def processes(*words):
    """Processes with all these words in their command lines."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if all(word in line for word in words):
            found.append(process)
    return found


def kill(*words):
    found = processes(*words)
    assert found, words
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):  # killed with another of them
            process.kill()


# --- scenarios; each makes drills with `make`, and returns what it cost

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def scenario_on_both(function):
    """A scenario that is given the cluster too, and runs on SLURM and on submitit's local one."""
    SCENARIOS[function.__name__] = partial(function, "slurm")
    SCENARIOS[f"{function.__name__}_locally"] = partial(function, "local")
    return function


def disturb(one, undisturbed, fault, **expected):
    one.start()
    one.wait_until_saved()
    time.sleep(INTERVAL / 2)
    fault(one)
    return one.finish(undisturbed, **expected)


@scenario
def scontrol_requeue(make, undisturbed):
    return disturb(make(), undisturbed, lambda one: one.slurm.run("scontrol", "requeue", one.job()), starts=2)


@scenario
def scancel(make, undisturbed):
    def fault(one):
        one.slurm.run("scancel", one.job())

    return disturb(make(), undisturbed, fault, starts=2, attempts=2)


def kill_the_training(one):
    os.kill(one.starts()[-1]["pid"], signal.SIGKILL)
    one.killed()


def kill_the_worker(one):
    one.killed()
    kill("submitit.core._submit", str(one.path))


@scenario_on_both
def sigkill_of_the_training(cluster, make, undisturbed):
    return disturb(make(cluster), undisturbed, kill_the_training, starts=2, attempts=2)


@scenario_on_both
def sigkill_of_the_worker(cluster, make, undisturbed):
    return disturb(make(cluster), undisturbed, kill_the_worker, starts=2, attempts=2)


@scenario
def sigkill_of_the_batch_script(make, undisturbed):
    def fault(one):
        kill("/slurm_script", f"/job{int(one.job()):05d}/")

    return disturb(make(), undisturbed, fault, starts=2)


@scenario
def preemption(make, undisturbed):
    def fault(one):
        take = ["-p", "high", "-w", one.node(), "--exclusive", "-o", "/dev/null", "--wrap", "sleep 3"]
        one.slurm.run("sbatch", *take)

    one = make()
    one.resources["slurm_partition"] = "low"
    return disturb(one, undisturbed, fault, starts=2)


@scenario
def preemption_that_cancels(make, undisturbed):
    def fault(one):
        take = ["-p", "high", "-w", one.node(), "--exclusive", "-o", "/dev/null", "--wrap", "sleep 3"]
        one.slurm.run("sbatch", *take)

    one = make()
    one.resources["slurm_partition"] = "cancelled"
    return disturb(one, undisturbed, fault, starts=2)


def wait_until_moved(one, node, job):
    """Back too early, the node would get the job again, and SLURM's belated order to kill it."""
    wait(lambda: one.slurm.run("squeue", "-h", "-j", job, "-o", "%N", check=False) not in ("", node))
    one.slurm.start_node(node)


@scenario
def node_that_dies(make, undisturbed):
    def fault(one):
        node, job = one.node(), one.job()
        one.slurm.kill(f"slurmd.{node}")
        kill(f"slurmstepd: [{job}.")
        kill_the_worker(one)
        wait_until_moved(one, node, job)

    return disturb(make(), undisturbed, fault, starts=2)


@scenario
def slurmd_that_dies_while_its_job_lives(make, undisturbed):
    """SLURM starts the job a second time, on another node, while the first runs on."""

    def fault(one):
        node, job = one.node(), one.job()
        one.slurm.kill(f"slurmd.{node}")
        wait_until_moved(one, node, job)

    return disturb(make(task="long"), undisturbed, fault, starts=2)


def all_processes_of(one, job):
    """Those of a drill's SLURM job, in any session, and SLURM's own that hold them."""
    mine = {"SLURM_JOB_ID": job, "SLURM_CONF": one.slurm.env["SLURM_CONF"]}
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if mine.items() <= process.environ().items():
                found |= {process, *(each for each in process.parents() if each.name() == "slurmstepd")}
    return found


@scenario
def node_that_freezes_and_wakes_when_its_job_has_ended_elsewhere(make, undisturbed):
    """What its successor has made is left alone, whatever the old worker, Snakemake and training still do."""
    one = make()

    def fault(one):
        node, job = one.node(), one.job()
        slurmd = int((one.slurm.root / f"slurmd.{node}.pid").read_text())
        frozen = [psutil.Process(slurmd), *all_processes_of(one, job)]
        assert len(frozen) > 5, frozen  # slurmd, slurmstepd, worker, Snakemake, script, training
        for process in frozen:
            process.suspend()
        try:
            wait(lambda: one.process.poll() is not None)
            before = contents(one.path / "results")
        finally:
            for process in frozen:
                with contextlib.suppress(psutil.Error):
                    process.resume()
        _, alive = psutil.wait_procs(frozen[1:], timeout=120)
        assert not alive, alive
        after = contents(one.path / "results")
        assert one.target.removeprefix("results/") in before and before.items() <= after.items()
        assert {path.name for path in map(Path, after.keys() - before.keys())} <= SAVED
        for name in SAVED:  # the old training may have saved its state as it woke
            one.checkpoint.with_name(name).unlink(missing_ok=True)

    one.bound = float("inf")
    return disturb(one, undisturbed, fault, starts=2)


@scenario_on_both
def time_limit_shorter_than_the_training(cluster, make, undisturbed):
    one = make(cluster, task="long")
    one.resources["runtime"] = 1
    one.start()
    assert one.process.wait(900) == 0, one.said  # SLURM may leave a job little of its minute
    starts = len(one.starts())
    assert starts >= 2, one.said
    return one.finish(undisturbed, starts)


def kill_snakemake(one):
    one.process.kill()
    one.process.wait()
    subprocess.run(
        one.command("--unlock"), cwd=one.path, env=one.environment, check=True, capture_output=True
    )


@scenario_on_both
def sigkill_of_snakemake_and_a_new_one(cluster, make, undisturbed):
    one = make(cluster, task="long")

    def fault(one):
        kill_snakemake(one)
        one.start()

    cost = disturb(one, undisturbed, fault, starts=1)
    assert f"still runs, as {cluster} job" in one.said
    return cost


@scenario
def sigkill_of_snakemake_while_the_training_ends(make, undisturbed):
    """What ended meanwhile is not made again, and Snakemake knows from what it was made."""
    one = make()

    def fault(one):
        kill_snakemake(one)
        wait((one.path / one.target).exists)
        wait(lambda: one.job() not in one.slurm.run("squeue", "-h", "-t", "running", "-o", "%i"))
        one.start()

    cost = disturb(one, undisturbed, fault, starts=1)
    assert "Nothing to be done" in one.said
    one.tasks["drill"]["optimizer"] = {"name": "adam", "lr": 1.3e-3}
    assert one.planned("--", one.target) == {"chance": 1, "initialise": 1, "train_dense": 1}
    return cost


@scenario
def new_settings_after_sigkill_of_snakemake(make, undisturbed):
    """A training that still runs with old settings is not taken for one with new ones."""
    one = make()
    one.tasks["drill"]["length"] = "epoch3000"

    def fault(one):
        kill_snakemake(one)
        one.tasks["drill"] = dict(DRILL)
        one.start()

    cost = disturb(one, undisturbed, fault, starts=1)
    assert "is out of date, and cancelled" in one.said
    return cost


@scenario
def ctrl_c_and_going_on(make, undisturbed):
    one = make()

    def fault(one):
        one.process.send_signal(signal.SIGINT)
        one.process.wait(300)
        wait(lambda: one.job() not in one.slurm.run("squeue", "-h", "-t", "running,completing", "-o", "%i"))
        one.start()

    return disturb(one, undisturbed, fault, starts=2)


@scenario
def config_edited_while_it_runs(make, undisturbed):
    one = make()
    one.resources["slurm_extra"] = "--begin=now+15"  # so that the job reads the workflow after the edit

    def edit():
        one.tasks["drill"]["optimizer"] = {"name": "adam", "lr": 1.3e-3}
        one.write()

    one.start()
    one.job()
    edit()
    cost = one.finish(undisturbed, starts=1)
    assert one.planned("--", one.target) == {"chance": 1, "initialise": 1, "train_dense": 1}
    return cost


@scenario
def want_of_memory(make, undisturbed):
    one = make()
    one.resources["mem_mb"] = 250
    one.options["retries"] = 4
    one.start()
    assert one.process.wait(900) == 0, one.said
    assert "OUT_OF_MEMORY" in one.said or "exit status" in one.said
    attempts = 1 + one.said.count("Trying to restart job")
    assert attempts >= 2
    memory = one.slurm.run("squeue", "-h", "--states=all", "-j", one.job(), "-o", "%m")
    assert memory == f"{250 * 2 ** (attempts - 1)}M"
    return one.finish(undisturbed, len(one.starts()), attempts)


@scenario
def full_disk(make, undisturbed):
    one = make()
    disk = one.path / "results/dense"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", disk], check=True)
    shutil.copytree(one.prepared / "results/dense", disk, dirs_exist_ok=True)
    try:

        def fault(one):
            free = shutil.disk_usage(disk).free
            (disk / "ballast").write_bytes(bytes(free - 200_000))
            wait(lambda: "Trying to restart job" in one.said)
            one.killed()
            (disk / "ballast").unlink()

        one.bound = 60.0  # nothing can be saved from the moment the disk is full
        cost = disturb(one, undisturbed, fault, starts=2, attempts=2)
        assert "No space left" in one.said
        return cost
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


@scenario
def controller_away_for_a_minute(make, undisturbed):
    """One job ends while it is away; the next one waits until it is back."""
    with slurm_cluster.running(make.folder / "another", nodes=1) as slurm:
        one = make(slurm=slurm, nodes="f1")
        level = "results/lineage/drill/imp/seed1/level01/metrics.json"
        one.start("--", one.target, level)
        one.wait_until_saved()
        slurm.kill("slurmctld")
        gone = time.monotonic()
        wait((one.path / one.target).exists)
        wait(lambda: "trying again" in one.said)
        time.sleep(max(0.0, gone + 60 - time.monotonic()))
        assert not (one.path / level).exists()
        slurm.start_controller()
        cost = one.finish(undisturbed, starts=1)
        assert len(json.loads((one.path / level).with_name("provenance.json").read_text())["starts"]) == 1
        return cost


@scenario
def small_study_in_job_arrays(make, undisturbed):
    one = make()
    one.resources["pack"] = 2
    one.options |= {"submitit-array": 10, "submitit-linger": 5}
    one.study["seeds"] = [1, 2, 3]
    shutil.rmtree(one.path / "results")
    one.start("--", *(f"results/dense/tiny/seed{seed}/init.safetensors" for seed in (1, 2, 3)))
    assert one.process.wait(300) == 0, one.said
    one.start("all")  # all dense and random trainings at once, however slow the machine
    assert one.process.wait(900) == 0, one.said
    assert contents(one.path / "results") == undisturbed["study"]
    jobs = set(re.findall(r" (?:is|runs as) slurm job (\S+)\.", one.said))
    assert any("_" in job for job in jobs), one.said
    return f"{one.said.count('Finished jobid')} jobs in {len(jobs)} SLURM jobs"


# --- running them


class Maker:
    """Makes drills, each on a pair of nodes of its own."""

    def __init__(self, folder, slurm, pairs):
        self.folder, self.slurm, self.pairs, self.mine, self.made = folder, slurm, pairs, None, []

    def __call__(self, cluster="slurm", slurm=None, nodes=None, task="drill"):
        nodes = nodes or self.mine
        path = self.folder / f"workspace{len(self.made)}"
        self.made.append(Drill(path, cluster, slurm or self.slurm, nodes, task))
        self.made[-1].prepared = self.prepared
        for name in ("results", ".snakemake"):  # all is there that a dense run needs
            shutil.copytree(self.prepared / name, path / name, dirs_exist_ok=True)
        return self.made[-1]

    def run(self, function, undisturbed):
        self.mine, self.prepared = self.pairs.get(), undisturbed["prepared"]
        began = time.monotonic()
        try:
            return f"{function(self, undisturbed)}; {time.monotonic() - began:.0f} s in all"
        finally:
            for one in self.made:
                if one.process is not None and one.process.poll() is None:
                    one.process.send_signal(signal.SIGINT)
                    one.process.wait(300)
            self.pairs.put(self.mine)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    with slurm_cluster.running(tmp_path_factory.mktemp("slurm"), nodes=2 * AT_ONCE) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """What the trainings and the small study give on this machine when nothing happens."""
    workspace = Workspace(tmp_path_factory.mktemp("undisturbed") / "workspace")
    workspace.tasks |= {"drill": DRILL, "long": LONG}
    workspace.write()
    dense = [f"results/dense/{task}/seed1" for task in ("drill", "long")]
    chance = [f"results/chance/{task}.json" for task in ("drill", "long")]
    workspace.snakemake("--", *chance, *(f"{run}/init.json" for run in dense))
    prepared = tmp_path_factory.mktemp("prepared")
    for name in ("results", ".snakemake"):
        shutil.copytree(workspace.path / name, prepared / name)
    workspace.snakemake("--", *(f"{run}/metrics.json" for run in dense))
    found = {task: contents(workspace.path / f"results/dense/{task}/seed1") for task in ("drill", "long")}
    shutil.rmtree(workspace.path / "results")
    workspace.study["seeds"] = [1, 2, 3]
    workspace.write()
    workspace.snakemake()
    return {**found, "prepared": prepared, "study": contents(workspace.path / "results")}


@pytest.fixture(scope="session")
def outcomes(request, slurm, undisturbed, tmp_path_factory):
    """Scenario -> its future; those selected run, some at a time."""
    pairs = queue.Queue()
    for number in range(1, AT_ONCE + 1):
        pairs.put(f"f{number}")
    chosen = [
        item.callspec.params["name"] for item in request.session.items if "outcomes" in item.fixturenames
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(
                Maker(tmp_path_factory.mktemp(name), slurm, pairs).run, SCENARIOS[name], undisturbed
            )
            for name in chosen
        }


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name, outcomes, record_property):
    cost = outcomes[name].result()
    record_property("cost", cost)
    print(f"{name.replace('_', ' ')}: {cost}")


# --- what cannot run says so at once

REFUSED = {
    "partition": ({"slurm_partition": "nope"}, "--partition=nope.*invalid partition specified: nope"),
    "account": ({"slurm_account": "closed"}, "--account=closed.*Invalid account"),
    "gpus": ({"gpu": 9}, "--gres=gpu:9.*Requested node configuration is not available"),
    "gpu model": ({"gpu": 1, "gpu_model": "h100"}, "--gres=gpu:h100:1.*configuration is not available"),
    "memory": ({"mem_mb": 10**9}, "--mem=1000000000M.*configuration is not available"),
    "constraint": ({"constraint": "fast"}, "--constraint=fast.*Invalid feature specification"),
}


@pytest.fixture
def stopped(tmp_path, slurm):
    """Run a workflow that asks for what it cannot have; returns what it says."""

    def run(asked=None, cluster="slurm", seconds=120, **environment):
        one = Drill(tmp_path / "workspace", cluster, slurm, "f1")
        one.options["retries"] = 0
        one.resources |= asked or {}
        one.write()
        done = subprocess.run(
            one.command("--", one.target),
            cwd=one.path,
            env=one.environment | environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 1
        assert not one.checkpoint.parent.exists()
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize("kind", REFUSED)
def test_what_slurm_refuses_is_said_before_anything_is_submitted(kind, stopped, slurm):
    asked, message = REFUSED[kind]
    before = slurm.states()
    said = stopped(asked)
    assert re.search(rf"rule \w+: SLURM refuses .*{message}", said), said
    assert slurm.states().keys() <= before.keys()  # old ones are forgotten


def test_what_would_be_pending_for_ever_is_cancelled(stopped, slurm):
    said = stopped({"slurm_partition": "short", "runtime": 10})
    assert "would be pending for ever: PartitionTimeLimit" in said
    assert "PENDING" not in slurm.states().values()


def test_without_slurm(stopped, tmp_path):
    python = tmp_path / "bin"
    python.mkdir()
    for name in ("bash", "sh", "env", "nice"):
        (python / name).symlink_to(shutil.which(name))
    said = stopped(PATH=str(python))
    assert "no SLURM found: sbatch is not on the PATH" in said


def test_slurm_that_does_not_answer(stopped, tmp_path):
    (tmp_path / "slurm.conf").write_text("ClusterName=none\nSlurmctldHost=localhost\nSlurmctldPort=1\n")
    assert "SLURM does not answer" in stopped(SLURM_CONF=str(tmp_path / "slurm.conf"), seconds=120)


def test_an_unknown_cluster(tmp_path):
    (tmp_path / "Snakefile").write_text(OTHER.replace("{COUNT}", "41"))
    command = ["snakemake", "--executor", "submitit", "--submitit-cluster", "slrum", "--jobs", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "submitit-cluster: found 'slrum', allowed: slurm, local, debug" in done.stdout + done.stderr


# --- the executor with another workflow


def test_a_worker_stopped_while_it_begins_its_first_job_is_run_again(tmp_path):
    """At a limit of a minute SLURM may signal at once: the job is taken, but not yet a process."""
    worker = Worker(str(tmp_path), "worker", slots=1, linger=0, minutes=1, grace=1)
    worker.me = {"run": "first", "job": "1", "host": "here"}
    worker.desk.set_up()
    write(worker.desk.folder / "owner", worker.me)
    worker.desk.hand_in("job", {"command": "true", "cwd": str(tmp_path)})
    assert worker.desk.begin("job")
    assert worker.checkpoint() is not None
    worker.desk.end("job", {"status": 0})
    assert worker.checkpoint() is None


OTHER = """
rule all:
    input: expand("{name}.txt", name=["a", "b", "c"])

rule make:
    output: "{name}.txt"
    log: "{name}.log"
    threads: 1
    resources: runtime=1, mem_mb=lambda w, attempt: 1000 * attempt
    shell: "echo $(({COUNT} + 1)) > {output}; echo made {wildcards.name} > {log}"
"""


@pytest.mark.parametrize("cluster", ["slurm", "local", "debug"])
def test_another_workflow_on_each_cluster(cluster, tmp_path, slurm):
    (tmp_path / "Snakefile").write_text(OTHER.replace("{COUNT}", "41"))
    command = ["snakemake", "--executor", "submitit", "--submitit-cluster", cluster, "--jobs", "3"]
    environment = {**os.environ, **slurm.env}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(tmp_path / f"{name}.txt").read_text() for name in "abc"] == ["42\n"] * 3
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_local_jobs_share_the_cores(tmp_path):
    """Each job notes how many run beside it: never more than there are cores."""
    shell = "mkdir -p now; touch now/$$; sleep 2; ls now | wc -l > {output}; rm now/$$"
    text = OTHER.replace('"a", "b", "c"', ", ".join(f'"{name}"' for name in "abcdefgh"))
    text = re.sub(r'shell: ".*"', f'shell: "{shell}"', text).replace("runtime=1", "runtime=1, pack=3")
    (tmp_path / "Snakefile").write_text(text)
    command = ["snakemake", "--executor", "submitit", "--submitit-cluster", "local", "--jobs", "100"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    beside = [int((tmp_path / f"{name}.txt").read_text()) for name in "abcdefgh"]
    assert max(beside) <= len(os.sched_getaffinity(0))


def test_a_failing_job_is_reported_with_its_log_and_the_rest_goes_on(tmp_path, slurm):
    text = OTHER.replace("echo $(({COUNT}", "echo before; test {wildcards.name} != b; echo $((41")
    text = text.replace("; echo made {wildcards.name} > {log}", "").replace("echo before", "echo why > {log}")
    (tmp_path / "Snakefile").write_text(text)
    command = ["snakemake", "--executor", "submitit", "--jobs", "3", "--keep-going", "--retries", "1"]
    done = subprocess.run(
        [*command, "--show-failed-logs", "--submitit-queue-poll", "2"],
        cwd=tmp_path,
        env={**os.environ, **slurm.env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert (
        (tmp_path / "a.txt").exists() and (tmp_path / "c.txt").exists() and not (tmp_path / "b.txt").exists()
    )
    assert said.count("Trying to restart job") == 1, said
    assert said.count("exit status 1") == 2 and "why" in said, said
