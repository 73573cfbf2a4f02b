"""The prepared text on the device, as what a step reads and what an evaluation reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...runs import Task
from ...seeds import generator
from ...weights import load_arrays

COLUMNS, WINDOW = (
    20,
    50,
)  # of an evaluation, which reads every part in as many columns, so many tokens at once
NOTHING = -100  # a target that does not count
Window = tuple[Tensor, Tensor]  # tokens [T, B] and those that come next


@dataclass(frozen=True)
class Texts:
    """parts: train, validation, test -> [tokens] int64"""

    parts: dict[str, Tensor]
    batch_size: int
    bptt: int

    def training(self, seed: int, epoch: int, done: int) -> Iterator[Window]:
        """The steps of an epoch but for the first `done`: the text in columns, read from top to bottom.

        Each epoch begins at another place of the text, and goes on at its start when its end is reached: so
        that columns are cut elsewhere, and no token is left out of all epochs.
        """
        text = self.parts["train"]
        start = int(generator(seed, "order", epoch).integers(len(text)))
        length = len(text) // self.batch_size
        columns = text.roll(-start)[: self.batch_size * length].view(self.batch_size, length).t().contiguous()
        for top in range(done * self.bptt, length - self.bptt, self.bptt):
            yield columns[top : top + self.bptt], columns[top + 1 : top + 1 + self.bptt]

    def part(self, name: str) -> Iterator[Window]:
        """All of a part: every token but the first is a target once, in columns of equal length."""
        text = self.parts[name]
        columns = min(COLUMNS, len(text) - 1)
        length = -(-(len(text) - 1) // columns)
        missing = columns * length - (len(text) - 1)
        tokens = F.pad(text[:-1], (0, missing)).view(columns, length).t()
        target = F.pad(text[1:], (0, missing), value=NOTHING).view(columns, length).t()
        yield from zip(tokens.split(WINDOW), target.split(WINDOW), strict=True)

    def targets(self, name: str) -> int:
        return len(self.parts[name]) - 1


def load(path: Path, task: Task, device: torch.device) -> Texts:
    """The task's three texts. Raises DamagedFile."""
    arrays, _ = load_arrays(path)
    parts = {
        part: torch.from_numpy(arrays[part]).long().to(device) for part in ("train", "validation", "test")
    }
    return Texts(parts, task["batch_size"], task["bptt"])
