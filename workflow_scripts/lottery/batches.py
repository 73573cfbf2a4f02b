"""The device-resident data path: a prepared data set lives on the device as uint8, batched by index."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .preparation import splits
from .seeds import stream
from .tasks import Task
from .weights import load_arrays


@dataclass(frozen=True)
class Data:
    """images: part -> [N, C, H, W] uint8, labels: part -> [N]; parts are train, validation, test."""

    images: dict[str, Tensor]
    labels: dict[str, Tensor]
    mean: Tensor
    scale: Tensor

    def normalise(self, images: Tensor) -> Tensor:
        """[B, C, H, W] uint8 -> float32, over the training set of mean 0 and deviation 1 per channel."""
        return (images.float() - self.mean) * self.scale


def load(path: Path, task: Task, device: torch.device) -> Data:
    """The task's training, validation and test examples. Raises DamagedFile."""
    arrays, _ = load_arrays(path)
    train, validation = splits(arrays, task["half"], task["validation"])
    images = {"train": arrays["train_images"][train], "validation": arrays["train_images"][validation]}
    labels = {"train": arrays["train_labels"][train], "validation": arrays["train_labels"][validation]}
    images["test"], labels["test"] = arrays["test_images"], arrays["test_labels"]
    return Data(
        {part: torch.from_numpy(array).to(device) for part, array in images.items()},
        {part: torch.from_numpy(array).to(device) for part, array in labels.items()},
        torch.from_numpy(arrays["mean"]).to(device).view(1, -1, 1, 1),
        1 / torch.from_numpy(arrays["std"]).to(device).view(1, -1, 1, 1),
    )


def order(seed: int, epoch: int, examples: int, batch_size: int) -> Tensor:
    """Indices of an epoch's whole batches, [steps, B]: its own stream for each seed and epoch."""
    generator = torch.Generator().manual_seed(stream(seed, "order", epoch))
    shuffled = torch.randperm(examples, generator=generator)
    return shuffled[: examples // batch_size * batch_size].view(-1, batch_size)
