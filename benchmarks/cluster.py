"""Seconds that a job on SLURM costs: ours, Snakemake's SLURM plugin, cluster-generic, and plain sbatch.

Chains of short jobs and short jobs side by side, on a real SLURM on this machine, all in one run; about ten
minutes, most of them the SLURM plugin's. The other plugins are installed into an environment of their own:
Snakemake imports every plugin it finds, at each start.
"""

import os
import re
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

NUMBER = 20
PEERS = (
    "snakemake==9.27.1",
    "snakemake-executor-plugin-slurm==2.8.0",
    "snakemake-executor-plugin-cluster-generic==1.0.9",
)
SNAKEFILE = f"""
rule chain:
    input: "chain{NUMBER}"
rule parallel:
    input: expand("parallel{{number}}", number=range({NUMBER}))
rule link:
    input: lambda w: f"chain{{int(w.number) - 1}}" if int(w.number) > 1 else []
    output: "chain{{number,[0-9]+}}"
    resources: mem_mb=500, runtime=5
    shell: "touch {{output}}"
rule single:
    output: "parallel{{number,[0-9]+}}"
    resources: mem_mb=500, runtime=5
    shell: "touch {{output}}"
"""
SBATCH = "sbatch --parsable -t {resources.runtime} --mem {resources.mem_mb} -o /dev/null"
OURS = ["--executor", "submitit"]
GENERIC = "--executor cluster-generic --seconds-between-status-checks 1"
SLURM_PLUGIN = "--executor slurm --slurm-status-command squeue --slurm-init-seconds-before-status-checks 3"
WAYS = {
    "ours": ("ours", [*OURS, "--submitit-linger", "30"]),
    "ours, each job a SLURM job": ("ours", OURS),
    "cluster-generic, which looks every second": (
        "peers",
        [*GENERIC.split(), "--cluster-generic-submit-cmd", SBATCH],
    ),
    "SLURM plugin, which looks after 3 s": ("peers", SLURM_PLUGIN.split()),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", root / "peers"], check=True)
        install = [root / "peers/bin/python", "-m", "pip", "install", "-q", *PEERS]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
        programs = {"ours": sys.executable, "peers": str(root / "peers/bin/python")}
        with slurm_cluster.running(root / "slurm", nodes=2, cpus=16) as slurm:
            environment = {**os.environ, **slurm.env, "PATH": f"{shims(root, slurm)}:{os.environ['PATH']}"}
            print(f"| | a job of a chain of {NUMBER} | {NUMBER} side by side, in all |")
            print("|---|---:|---:|")
            print(f"| sbatch alone | {plain(root, environment):.2f} s | |", flush=True)
            for name, (program, options) in WAYS.items():
                took = [
                    run(root, programs[program], options, rule, environment) for rule in ("chain", "parallel")
                ]
                print(f"| {name} | {took[0]:.2f} s | {took[1]:.1f} s |", flush=True)
            print("\n| 27 small trainings, in lineages of five and alone | in all | SLURM jobs |")
            print("|---|---:|---:|")
            for pack, linger in ((1, 0), (1, 30), (4, 0), (4, 30)):
                seconds, jobs = small_study(root / f"study{pack}-{linger}", pack, linger, environment)
                said = f"{pack} in a SLURM job, which waits {linger} s for the next"
                print(f"| {said} | {seconds:.0f} s | {jobs} |", flush=True)


def shims(root: Path, slurm: slurm_cluster.Cluster) -> Path:
    """SLURM's commands with this cluster's config: the SLURM plugin deletes SLURM_CONF in its jobs."""
    (root / "bin").mkdir()
    for command in ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr"):
        text = f'#!/bin/sh\nSLURM_CONF={slurm.env["SLURM_CONF"]} exec /usr/bin/{command} "$@"\n'
        (root / "bin" / command).write_text(text)
        (root / "bin" / command).chmod(0o755)
    return root / "bin"


def plain(root: Path, environment: dict[str, str]) -> float:
    """Seconds from sbatch to the file that its job makes, the least that a chained job can take."""
    began = time.monotonic()
    for number in range(NUMBER):
        made = root / f"plain{number}"
        command = ["sbatch", "-t", "5", "--mem", "500", "-o", "/dev/null", "--wrap", f"touch {made}"]
        subprocess.run(command, check=True, capture_output=True, cwd=root, env=environment)
        while not made.exists():
            time.sleep(0.02)
    return (time.monotonic() - began) / NUMBER


def small_study(folder: Path, pack: int, linger: int, environment: dict[str, str]) -> tuple[float, int]:
    """Seconds and SLURM jobs of the tests' tiny study with three seeds and four levels."""
    workspace = Workspace(folder)
    workspace.study |= {"seeds": [1, 2, 3], "levels": 4}
    workspace.write()
    asked = {"gpu": 0, "threads": 1, "mem_mb": 1500, "runtime": 10, "pack": pack}
    (folder / "config/resources.yaml").write_text(yaml.safe_dump({"all": asked}))
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--submitit-linger", str(linger)]
    began = time.time()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    jobs = re.findall(r"slurm job (\S+)\.", done.stdout + done.stderr)
    return time.time() - began, len(set(jobs))


def run(root: Path, python: str, options: list[str], rule: str, environment: dict[str, str]) -> float:
    """chain: seconds from one job's output to the next one's; parallel: seconds from start to end."""
    folder = Path(tempfile.mkdtemp(dir=root))
    (folder / "Snakefile").write_text(SNAKEFILE)
    command = [python, "-m", "snakemake", *options, "--jobs", str(NUMBER), "--latency-wait", "5", rule]
    began = time.time()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    if rule == "parallel":
        return time.time() - began
    ends = [(folder / f"chain{number}").stat().st_mtime for number in (1, NUMBER)]
    return (ends[1] - ends[0]) / (NUMBER - 1)


main()
