"""What SLURM is asked, each in one call for all jobs."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "MISSING", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "REVOKED", "TIMEOUT",
}  # fmt: skip
NOT_OUR_FAULT = {"BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT"}
# Reasons for which a job would be pending for ever.
HOPELESS = {
    "AccountNotAllowed", "AssocMaxCpuPerJobLimit", "AssocMaxGRESPerJob", "AssocMaxMemPerJob",
    "AssocMaxWallDurationPerJobLimit", "BadConstraints", "InvalidAccount", "InvalidQOS", "JobHoldMaxRequeue",
    "PartitionNodeLimit", "PartitionTimeLimit", "QOSMaxCpuPerJobLimit", "QOSMaxGRESPerJob",
    "QOSMaxMemoryPerJob", "QOSMaxWallDurationPerJobLimit", "QOSNotAllowed", "launch_failed_requeued_held",
    "launch failed requeued held",
}  # fmt: skip
# Refusals that pass: the controller is away or busy, or too many jobs are submitted at the moment.
PASSING = re.compile(
    r"unable to contact|socket timed out|connection refused|temporarily|try again|zero bytes were transmitted"
    r"|no space left|submit ?limit|too many jobs|slurm_load|connect failure|communication connection",
    re.IGNORECASE,
)


def missing() -> str | None:
    """The command of SLURM that is not on the PATH."""
    return next(
        (name for name in ("sbatch", "squeue", "scancel", "srun") if shutil.which(name) is None), None
    )


def queue() -> dict[str, tuple[str, str]] | None:
    """Job id -> state and reason of this user's jobs, as far back as SLURM remembers; None: no answer."""
    command = [
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        f"--user={os.getuid()}",
        "--format=%i|%T|%r",
    ]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return None
    rows = (line.split("|", 2) for line in listed.splitlines() if line.count("|") >= 2)
    return {job: (state, reason) for job, state, reason in rows}


def refusal(flags: Mapping[str, Any]) -> str | None:
    """Why sbatch would not take a job of these flags, as it says itself; None if it would."""
    options = [f"--{key}" if value is True else f"--{key}={value}" for key, value in flags.items()]
    command = ["sbatch", "--test-only", *options, "--wrap=true"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (subprocess.SubprocessError, OSError) as error:
        return str(error)
    if tried.returncode == 0:
        return None
    return "; ".join(line.removeprefix("sbatch: error: ") for line in tried.stderr.splitlines())


def cancel(jobs: list[str]) -> None:
    for start in range(0, len(jobs), 500):
        subprocess.run(["scancel", *jobs[start : start + 500]], capture_output=True, timeout=60, check=False)
