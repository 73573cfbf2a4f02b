"""Workers as submitit jobs."""

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import submitit
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from . import spool
from .worker import Worker


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class ExecutorSettings(ExecutorSettingsBase):  # type: ignore[misc]
    cluster: str = _setting("slurm", "slurm, local or debug (in this process)")
    max_timeouts: int = _setting(5, "How often a job may be stopped by time limit or preemption, and go on")
    signal_delay: int = _setting(120, "Seconds before the time limit at which jobs are told to save state")
    linger: int = _setting(0, "Seconds that a SLURM job with nothing to do waits for another job like it")
    array: int = _setting(1, "Up to how many equal SLURM jobs are submitted as one job array")
    queue_poll: int = _setting(30, "Seconds between two calls of squeue")


@dataclass
class Held:
    """A submitit job. shape: what it asks for, as JSON; jobs: the Snakemake jobs it was given."""

    name: str
    desk: spool.Desk
    shape: str
    slots: int
    job_id: str
    submitted: float
    gpus: list[int]
    jobs: set[str] = field(default_factory=set)
    dead_since: float | None = None
    failed: bool = False
    taken_up: bool = False

    def save(self, cluster: str, job_id: str | None) -> None:
        said = {key: getattr(self, key) for key in ("shape", "slots", "submitted", "gpus")}
        spool.write(self.desk.folder / "worker.json", {**said, "cluster": cluster, "job_id": job_id})


def flags(shape: str, slots: int) -> dict[str, Any]:
    """The options of sbatch for a worker of a shape."""
    asked = json.loads(shape)
    found: dict[str, Any] = {
        "nodes": 1,
        "ntasks-per-node": 1,
        "cpus-per-task": slots * asked["threads"],
        "time": int(asked["runtime"]),
    }
    if "mem_mb" in asked:
        found["mem"] = f"{slots * int(asked['mem_mb'])}M"
    if "gpu" in asked:
        model = f"{asked['gpu_model']}:" if "gpu_model" in asked else ""
        found["gres"] = f"gpu:{model}{asked['gpu']}"
    for key in ("slurm_partition", "slurm_account", "qos", "constraint"):
        if key in asked:
            found[key.removeprefix("slurm_")] = asked[key]
    for extra in shlex.split(asked.get("slurm_extra", "")):
        key, _, value = extra.lstrip("-").partition("=")
        found[key] = value or True
    return found


def submit(settings: ExecutorSettings, root: Path, new: list[Held], title: str) -> list[str]:
    """Submit equal workers through submitit. Returns their job ids."""
    shape, slots, gpus = new[0].shape, new[0].slots, new[0].gpus
    minutes = int(json.loads(shape)["runtime"])
    # the signal comes up to a minute early, and at once if its delay is longer than the limit
    delay = min(settings.signal_delay, 30 * minutes)
    grace, linger = max(5.0, delay - 15.0), settings.linger
    work = [Worker(str(root), held.name, slots, linger, minutes, grace) for held in new]
    if settings.cluster == "debug":
        debug = submitit.DebugExecutor(root / "log")
        started = [debug.submit(one) for one in work]
        for job in started:
            job.result()
        return [job.job_id for job in started]
    if settings.cluster == "local":
        executor: Any = submitit.LocalExecutor(root / "log", max_num_timeout=settings.max_timeouts)
        executor.update_parameters(
            timeout_min=minutes,
            signal_delay_s=delay,
            gpus_per_node=len(gpus),
            visible_gpus=gpus,
            stderr_to_stdout=True,
        )
    else:
        executor = submitit.SlurmExecutor(root / "log", max_num_timeout=settings.max_timeouts)
        options = flags(shape, slots)
        executor.update_parameters(
            job_name=title,
            time=options.pop("time"),
            signal_delay_s=delay,
            stderr_to_stdout=True,
            wckey=None,
            array_parallelism=len(work),
            srun_args=[f"--cpus-per-task={options['cpus-per-task']}"],  # which srun does not inherit
            additional_parameters={"requeue": True, **options},
        )
    if len(work) == 1:
        return [executor.submit(work[0]).job_id]
    with executor.batch():
        submitted = [executor.submit(one) for one in work]
    return [job.job_id for job in submitted]


def local_gpus() -> list[int]:
    """The GPUs of this machine that may be used."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [int(gpu) for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu.isdigit()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return list(range(sum(line.startswith("GPU ") for line in listed.splitlines())))
