"""Overhead of a job: the tiny study of the tests through Snakemake, with and without the warm process.

    python benchmarks/workflow.py

Overhead is the wall time of `snakemake --cores 1`, less the seconds trained, per job; the two ways in turn.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow_scripts")]

from conftest import Workspace


def overhead(way: str) -> tuple[float, int]:
    """Seconds per job, and jobs."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        workspace.study |= {"levels": 5, "seeds": [1]}
        jobs = sum(workspace.planned().values())
        os.environ.pop("LOTTERY_WARM", None)
        if way == "cold":
            os.environ["LOTTERY_WARM"] = "off"
        started = time.perf_counter()
        workspace.snakemake("--cores", "1")
        wall = time.perf_counter() - started
        found = [json.loads(p.read_text()) for p in (workspace.path / "results").rglob("provenance.json")]
        trained = sum(one["seconds"] for one in found)
    return (wall - trained) / jobs, jobs


def main() -> None:
    found: dict[str, list[float]] = {"warm": [], "cold": []}
    for _ in range(3):
        for way, seconds in found.items():
            each, jobs = overhead(way)
            seconds.append(each)
    warm, cold = (statistics.median(found[way]) for way in ("warm", "cold"))
    print(f"{jobs} jobs, Snakemake's own start included")
    print(f"warm process: {warm:.2f} s a job\nwithout:      {cold:.2f} s a job ({cold / warm:.1f} times)")


if __name__ == "__main__":
    main()
