"""Tokens a second of a language model's training: ours, and the usual loop of PyTorch's word-language-model
example; and what a mask costs.

    python benchmarks/language.py

The same networks, batch shapes, optimizer and clipping on random tokens, on the GPU if there is one. Each
way is a process of its own with one thread, as a training of a study is. The ways take turns of some steps; a
ratio is of two turns in the same round: the median, and in brackets the least and the most. On the CPU the
seconds are the process's own, so that other work on the machine counts little. Takes 14 GB of memory.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import kernels  # before numpy, which torch imports
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from lottery import masks
from lottery.config import read_datasets, read_tasks
from lottery.rewinding import Rewind
from lottery.runs import Process, Run, Task
from lottery.seeds import seed_for
from lottery.tasks import language as family
from lottery.tasks.language import loop
from lottery.weights import save_arrays

WAYS = ["usual", "ours, float32", "ours, bfloat16", "ours, float32, masked", "ours, bfloat16, masked"]
RATIOS = [
    ("ours, float32", "usual"),
    ("ours, bfloat16", "usual"),
    ("ours, float32, masked", "ours, float32"),
    ("ours, bfloat16, masked", "ours, bfloat16"),
]
SMALL = {"embedding": 128, "hidden": 128, "batch_size": 20, "bptt": 35, "clip_norm": 1.0}
# vocabulary, what differs from the paper's task in config/tasks, steps in a turn, turns
SIZES = {
    "small: 2,000 words, 2 x 128, 20 x 35": (2_000, SMALL, 20, 11),
    "Yu et al.: 33,278 words, 2 x 650, 30 x 50": (33_278, {}, 1, 9),
}
LEFT = 0.5  # fraction of all weights and biases


def main() -> None:
    gpu = torch.cuda.is_available()
    print(f"On {torch.cuda.get_device_name() if gpu else 'one core of the CPU'}. {kernels.said()}\n")
    print(f"| tokens a {'second' if gpu else 'CPU-second'} | " + " | ".join(SIZES) + " |")
    print("|---|" + "---:|" * len(SIZES))
    found = [in_turns(size) for size in SIZES]
    for way in WAYS:
        print(f"| {way} | " + " | ".join(f"{statistics.median(one[way]):,.0f}" for one in found) + " |")
    for way, other in RATIOS:
        cells = [spread([a / b for a, b in zip(one[way], one[other], strict=True)]) for one in found]
        print(f"| {way} / {other} | " + " | ".join(cells) + " |")


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def in_turns(size: str) -> dict[str, list[float]]:
    """Tokens a second of each turn of each way; the first, in which memory is asked for, is left out."""
    _, _, _, turns = SIZES[size]
    started = {
        way: subprocess.Popen(
            [sys.executable, __file__, size, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for way in WAYS
    }
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(turns + 1):
        for way, process in started.items():
            print(file=process.stdin, flush=True)
            found[way].append(float(process.stdout.readline()))
    for process in started.values():
        process.stdin.close()
        process.wait()
    return {way: speeds[1:] for way, speeds in found.items()}


def take_turns(task: Task, steps: int) -> Iterator[None]:
    """To be advanced before the first step and after each: at the end of a turn says how fast it was, and
    waits for the next."""
    gpu = torch.cuda.is_available()
    clock = time.perf_counter if gpu else time.process_time
    while sys.stdin.readline():
        began = clock()
        for _ in range(steps):
            yield
        if gpu:
            torch.cuda.synchronize()
        print(steps * task["batch_size"] * task["bptt"] / (clock() - began), flush=True)
    sys.exit()


def measure(size: str, way: str) -> None:
    torch.set_num_threads(1)
    vocabulary, over, steps, turns = SIZES[size]
    paper = read_tasks(ROOT / "config" / "tasks", read_datasets(ROOT / "config" / "datasets"))[
        "wikitext-2-lstm"
    ]
    tokens = paper["batch_size"] * paper["bptt"] * 100
    task = paper | over
    task |= {
        "dataset": {"name": "benchmark", "of": "text-files", "train": tokens, "vocabulary": vocabulary},
        "precision": "bfloat16" if "bfloat16" in way else "float32",
        "length": f"step{steps * (turns + 3)}",
        "evaluate_every": f"step{steps * (turns + 3)}",
    }
    text = np.random.default_rng(0).integers(0, vocabulary, tokens).astype(np.int32)
    if way == "usual":
        usual(task, torch.from_numpy(text).long(), take_turns(task, steps))
    else:
        ours(task, text, take_turns(task, steps), "masked" in way)


def ours(task: Task, text: np.ndarray, turns: Iterator[None], masked: bool) -> None:
    """The training as the engine calls it; after each step it asks whether it should stop."""
    start, mask = family.initialise(task, seed_for(1, "init")), None
    if masked:
        shapes = {name: tensor.shape for name, tensor in start.tensors.items()}
        mask = masks.random(shapes, round(LEFT * start.parameters), np.random.default_rng(0))
        start = start.with_tensors(masks.apply(mask, start.tensors))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.safetensors"
        save_arrays(data, {"train": text, "validation": text[:50], "test": text[:50]}, {})
        process = Process(stop=lambda: bool(next(turns)), save_every=float("inf"))
        checkpoint = Path(folder) / "checkpoint.safetensors"
        run = Run(start, mask, 1, Rewind(), checkpoint, "benchmark", data, process=process)
        loop.train(task, run)


class Usual(nn.Module):
    def __init__(self, task: Task) -> None:
        super().__init__()
        words, width, hidden = task["dataset"]["vocabulary"], task["embedding"], task["hidden"]
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, hidden, task["layers"], dropout=task["dropout"]["layers"])
        self.decoder = nn.Linear(hidden, words)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, tokens: Tensor, hidden: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, hidden = self.lstm(self.embedding(tokens), hidden)
        return F.log_softmax(self.decoder(outputs).flatten(0, 1), dim=1), hidden


def usual(task: Task, text: Tensor, turns: Iterator[None]) -> None:
    """Text in columns, windows of them, a hidden state that is detached, and torch's optimizer as it is."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    columns, window = task["batch_size"], task["bptt"]
    text = text[: len(text) // columns * columns].view(columns, -1).t().contiguous().to(device)
    model, settings = Usual(task).to(device), task["optimizer"]
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["lr"], eps=settings["eps"])
    total = 0.0
    next(turns)
    while True:
        hidden = tuple(torch.zeros(task["layers"], columns, task["hidden"], device=device) for _ in range(2))
        for top in range(0, len(text) - window, window):
            tokens, target = text[top : top + window], text[top + 1 : top + 1 + window].flatten()
            model.zero_grad()
            hidden = tuple(part.detach() for part in hidden)
            logits, hidden = model(tokens, hidden)
            loss = F.nll_loss(logits, target)
            loss.backward()
            if task["clip_norm"] is not None:
                nn.utils.clip_grad_norm_(model.parameters(), task["clip_norm"])
            optimizer.step()
            total += loss.item()
            next(turns)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("size", nargs="?")
    parser.add_argument("way", nargs="?")
    asked = parser.parse_args()
    if asked.size:
        measure(asked.size, asked.way)
    else:
        main()
