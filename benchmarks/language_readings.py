"""What an LSTM learns under each reading of the optimizer that Yu et al. (2020, section 4.1) name.

    LOTTERY_DATA=folder python benchmarks/language_readings.py

The first third of WikiText-2's training text, a vocabulary and a network cut to two CPU-minutes a reading;
all else as the paper's task in config/tasks, but no dropout, and clipping. Prints test log-perplexities.
"""

import os
import sys
import tempfile
from pathlib import Path

import kernels  # before numpy, which torch imports

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from lottery.config import read_datasets, read_tasks
from lottery.data import kind_of
from lottery.rewinding import Rewind
from lottery.runs import Run
from lottery.seeds import seed_for
from lottery.tasks import language as family

DATASET = {"name": "wikitext-2-third", "of": "wikitext-2", "vocabulary": 2_000, "first": 696_209}
REDUCED = {
    "dataset": DATASET,
    "embedding": 128,
    "hidden": 128,
    "dropout": {"embedding": 0.0, "layers": 0.0, "output": 0.0},
    "batch_size": 20,
    "bptt": 35,
    "length": "epoch2",
    "evaluate_every": "epoch1",
}
READINGS = {
    "eps 1e-3, mean over tokens": (1e-3, "mean", 1.0),
    "eps 1e-3, sum over time": (1e-3, "sum-over-time", 35.0),  # clipped at the same gradient
    "eps 1e-8, mean over tokens": (1e-8, "mean", 1.0),
}


def main() -> None:
    sys.stderr = open(os.devnull, "w")  # progress lines  # noqa: SIM115
    paper = read_tasks(ROOT / "config" / "tasks", read_datasets(ROOT / "config" / "datasets"))[
        "wikitext-2-lstm"
    ]
    print(kernels.said() + "\n")
    print("| Adam, lr 1e-3 | after one epoch | after two |")
    print("|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.safetensors"
        kind_of(DATASET).prepare(DATASET, Path(os.environ["LOTTERY_DATA"]), data)
        for reading, (eps, reduction, clip) in READINGS.items():
            optimizer = paper["optimizer"] | {"eps": eps}
            task = paper | REDUCED | {"optimizer": optimizer, "reduction": reduction, "clip_norm": clip}
            start = family.initialise(task, seed_for(1, "init"))
            run = Run(start, None, 1, Rewind(), Path(folder) / "checkpoint.safetensors", "reading", data)
            curve = family.train(task, [run])[0].curve
            _, first, second = (row["test_log_perplexity"] for row in curve)
            print(f"| {reading} | {first:.3f} | {second:.3f} |", flush=True)
        unigram = family.chance(task, data)
        print(f"| frequencies of single words | {unigram:.3f} | {unigram:.3f} |")


if __name__ == "__main__":
    main()
