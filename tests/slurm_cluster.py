"""A real SLURM on this machine for tests: munged, slurmctld, a slurmd per node; all state in one folder."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd")
# Devices that every machine has stand for GPUs: SLURM then hands out CUDA_VISIBLE_DEVICES as on a real node.
GPUS = ("null", "zero", "full", "random")

# What accounting does at a site: jobs for a closed account are refused.
RULES = """
function slurm_job_submit(job, partitions, user)
    if job.account == "closed" then
        return slurm.ESLURM_INVALID_ACCOUNT
    end
    return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, user)
    return slurm.SUCCESS
end
"""

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={root}/munge.socket,cred_expire=5
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool.%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.%n.log
PlugStackConfig={root}/plugstack.conf
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=1,bf_interval=1
InactiveLimit=0
KillWait=5
MinJobAge=300
OverTimeLimit=0
ReturnToService=2
JobRequeue=1
EnforcePartLimits=NO
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldTimeout=10
SlurmdTimeout=15
MessageTimeout=10
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobSubmitPlugins=lua
"""


class Cluster:
    """A running cluster. root: its folder; `env`: what commands need to reach it."""

    def __init__(self, root: Path, nodes: int = 2, cpus: int = 8, gpus: int = 2, memory: int = 16000) -> None:
        self.root, self.nodes = root, [f"n{number}" for number in range(1, nodes + 1)]
        self.env = {"SLURM_CONF": str(root / "slurm.conf")}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        names = {
            "root": root,
            "port": port,
            "host": socket.gethostname().split(".")[0],
            "user": os.environ.get("USER") or "root",
        }
        lines = [CONFIG.format(**names)]
        for number, node in enumerate(self.nodes, 1):
            lines.append(
                f"NodeName={node} NodeHostname={names['host']} NodeAddr=127.0.0.1 Port={port + number} "
                f"CPUs={cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 "
                f"RealMemory={memory} Gres=gpu:{gpus} Feature=f{(number + 1) // 2}"
            )
        everywhere = f"Nodes={','.join(self.nodes)} DefaultTime=10 State=UP"
        lines += [
            f"PartitionName=gpu {everywhere} Default=YES PriorityTier=10",
            f"PartitionName=short {everywhere} MaxTime=1 PriorityTier=10",
            f"PartitionName=low {everywhere} PriorityTier=1 PreemptMode=REQUEUE GraceTime=8",
            f"PartitionName=cancelled {everywhere} PriorityTier=1 PreemptMode=CANCEL GraceTime=8",
            f"PartitionName=high {everywhere} PriorityTier=100 PreemptMode=OFF",
        ]
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o755)
        (root / "state").mkdir()
        (root / "slurm.conf").write_text("\n".join(lines) + "\n")
        (root / "plugstack.conf").write_text("")
        (root / "job_submit.lua").write_text(RULES)
        devices = [
            f"NodeName={node} Name=gpu File=/dev/{device}" for node in self.nodes for device in GPUS[:gpus]
        ]
        (root / "gres.conf").write_text("\n".join(devices) + "\n")
        (root / "munge.key").write_bytes(os.urandom(128))
        (root / "munge.key").chmod(0o400)

    def run(self, *command: str, check: bool = True) -> str:
        """The output of one of SLURM's commands."""
        done = subprocess.run(
            command, env={**os.environ, **self.env}, capture_output=True, text=True, timeout=300, check=check
        )
        return done.stdout.strip()

    def start(self) -> None:
        munge = [
            f"--{name}={self.root}/munge.{end}"
            for name, end in (
                ("key-file", "key"),
                ("socket", "socket"),
                ("pid-file", "pid"),
                ("log-file", "log"),
                ("seed-file", "seed"),
            )
        ]
        subprocess.run(["munged", "--force", "--num-threads=2", *munge], check=True, env=self._path())
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        self.wait_for(
            lambda: (
                self.run("sinfo", "-h", "-N", "-p", "gpu", "-o", "%T", check=False).split()
                == ["idle"] * len(self.nodes)
            )
        )
        self.run("srun", "-Q", "-t1", "true")  # the first job after a start may wait long for the scheduler

    def start_controller(self) -> None:
        subprocess.run(["slurmctld", "-i"], check=True, env=self._path())

    def start_node(self, node: str) -> None:
        (self.root / f"spool.{node}").mkdir(exist_ok=True)
        subprocess.run(["slurmd", "-N", node], check=True, env=self._path())

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> None:
        """End slurmctld or slurmd.n1, and wait until it is gone."""
        pid = int((self.root / f"{daemon}.pid").read_text())
        os.kill(pid, number)
        self.wait_for(
            lambda: not Path(f"/proc/{pid}/stat").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text()
        )

    def stop(self) -> None:
        self.run("scancel", "-u", str(os.getuid()), check=False)
        alive = [process for process in psutil.process_iter() if self._is_mine(process)]
        for process in alive:
            process.terminate()
        for process in psutil.wait_procs(alive, timeout=5)[1]:  # slurmd waits for its jobs
            process.kill()

    def _is_mine(self, process: psutil.Process) -> bool:
        """Whether it is a daemon of this cluster: each works in its folder, or is told of it."""
        try:
            told = [process.cwd(), *process.cmdline()]
            return process.name() in (*DAEMONS, "slurmstepd") and str(self.root) in " ".join(told)
        except psutil.Error:
            return False

    def states(self) -> dict[str, str]:
        """Job id -> state of all jobs SLURM remembers."""
        rows = self.run("squeue", "-h", "--array", "--states=all", "-o", "%i %T").splitlines()
        return dict(row.split() for row in rows)  # type: ignore[misc]

    def _path(self) -> dict[str, str]:
        return {**os.environ, **self.env, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}

    @staticmethod
    def wait_for(condition, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.1)


def installed() -> bool:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return all(shutil.which(name, path=path) for name in (*DAEMONS, "sbatch"))


@contextmanager
def running(root: Path, **size: int) -> Iterator[Cluster]:
    cluster = Cluster(root, **size)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
