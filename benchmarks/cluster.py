"""Seconds that a job on SLURM costs: ours, Snakemake's SLURM plugin, cluster-generic, and plain sbatch.

Chains of short jobs and short jobs side by side, on a real SLURM on this machine, all in one run; about ten
minutes, most of them the SLURM plugin's. The other plugins are installed into an environment of their own:
Snakemake imports every plugin it finds, at each start.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import slurm_cluster

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
SLURM_PLUGIN = "--executor slurm --slurm-status-command squeue --slurm-init-seconds-before-status-checks 3"
WAYS = {
    "ours": ("ours", [*OURS, "--submitit-linger", "30"]),
    "ours, each job a SLURM job": ("ours", OURS),
    "cluster-generic": ("peers", ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", SBATCH]),
    "SLURM plugin, which looks after 3 s": ("peers", SLURM_PLUGIN.split()),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", root / "peers"], check=True)
        subprocess.run([root / "peers/bin/python", "-m", "pip", "install", "-q", *PEERS], check=True)
        programs = {"ours": sys.executable, "peers": str(root / "peers/bin/python")}
        with slurm_cluster.running(root / "slurm", nodes=2, cpus=16) as slurm:
            environment = {**os.environ, **slurm.env, "PATH": f"{shims(root, slurm)}:{os.environ['PATH']}"}
            print(f"| | a job of a chain of {NUMBER} | {NUMBER} side by side, in all |")
            print("|---|---:|---:|")
            print(f"| sbatch --wait | {plain(root, environment):.2f} s | |", flush=True)
            for name, (program, options) in WAYS.items():
                took = [
                    run(root, programs[program], options, rule, environment) for rule in ("chain", "parallel")
                ]
                print(f"| {name} | {took[0]:.2f} s | {took[1]:.1f} s |", flush=True)


def shims(root: Path, slurm: slurm_cluster.Cluster) -> Path:
    """SLURM's commands with this cluster's config: the SLURM plugin deletes SLURM_CONF in its jobs."""
    (root / "bin").mkdir()
    for command in ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr"):
        text = f'#!/bin/sh\nSLURM_CONF={slurm.env["SLURM_CONF"]} exec /usr/bin/{command} "$@"\n'
        (root / "bin" / command).write_text(text)
        (root / "bin" / command).chmod(0o755)
    return root / "bin"


def plain(root: Path, environment: dict[str, str]) -> float:
    """Seconds for a job from sbatch to the end that sbatch sees, the least that waiting can cost."""
    began = time.monotonic()
    for _ in range(NUMBER):
        command = ["sbatch", "-W", "-t", "5", "--mem", "500", "-o", "/dev/null", "--wrap", "true"]
        subprocess.run(command, check=True, capture_output=True, cwd=root, env=environment)
    return (time.monotonic() - began) / NUMBER


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
