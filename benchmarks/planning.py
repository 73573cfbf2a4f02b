"""A study of 10,000 trainings: its dry run, its plan, and the time to the first SLURM job.

python benchmarks/planning.py
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow_scripts")]

import slurm_cluster
from conftest import Workspace

SEEDS = 36  # of the default study, which has 284 trainings a seed


def measured(workspace: Workspace, command: list[str]) -> tuple[float, str]:
    """Seconds, and what was said."""
    began = time.monotonic()
    done = subprocess.run(command, cwd=workspace.path, capture_output=True, text=True, check=True)
    return time.monotonic() - began, done.stdout + done.stderr


def first_submission(workspace: Workspace, folder: Path) -> float:
    """Seconds from `snakemake --profile slurm` to the first SLURM job."""
    with slurm_cluster.running(folder) as slurm, open(folder / "said", "w") as said:
        began = time.monotonic()
        run = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--profile", "slurm"],
            cwd=workspace.path,
            env={**os.environ, **slurm.env},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        slurm.wait_for(lambda: "is slurm job" in (folder / "said").read_text(), 600)
        seconds = time.monotonic() - began
        run.kill()
        run.wait()
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        workspace.study = yaml.safe_load((ROOT / "config/config.yaml").read_text())
        workspace.study["seeds"] = list(range(1, SEEDS + 1))
        workspace.write()
        dry, said = measured(workspace, [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules"])
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        counts = {rule: int(number) for rule, number in re.findall(r"^(\S+) +(\d+)$", said, re.MULTILINE)}
        trainings = sum(number for rule, number in counts.items() if rule.startswith("train_"))
        print(f"dry run of {trainings:,} trainings, {counts['total']:,} jobs: {dry:.0f} s, {memory:.2f} GB")
        plan, _ = measured(workspace, [sys.executable, "workflow_scripts/plan.py", "config/config.yaml"])
        print(f"make plan: {plan:.0f} s")
        print(
            f"first submission: {first_submission(workspace, Path(folder) / 'slurm'):.0f} s after the start"
        )


main()
