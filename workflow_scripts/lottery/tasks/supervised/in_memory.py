"""The device-resident data path: a prepared data set lives on the device as uint8, batched by index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...data.images import scale_of, splits
from ...runs import Task
from ...seeds import seed_for
from ...training.ranks import Share
from ...weights import load_arrays

PAD = 4  # pixels around an image that is cropped at random, as is usual for CIFAR
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class InMemory:
    """images: part -> [N, C, H, W] uint8, labels: part -> [N]; parts are train, validation, test."""

    images: dict[str, Tensor]
    labels: dict[str, Tensor]
    mean: Tensor
    scale: Tensor
    augment: Sequence[str]
    batch_size: int

    def normalise(self, images: Tensor) -> Tensor:
        """[B, C, H, W] uint8 -> float32, over the training set of mean 0 and deviation 1 per channel,
        or 0 where that is constant."""
        return (images.float() - self.mean) * self.scale

    def training(self, seed: int, epoch: int, done: int, share: Share) -> Iterator[Batch]:
        """The whole batches of an epoch but for the first `done`, augmented and normalised."""
        images, labels = self.images["train"], self.labels["train"]
        batches = order(seed, epoch, len(labels), self.batch_size)
        shifts, flips = augmentation(seed, epoch, batches.numel(), self.augment)
        parts = (batches, shifts.view(*batches.shape, 2), flips.view(batches.shape))
        for indices, shift, flip in zip(
            *(share.of(part)[done:].to(labels.device) for part in parts), strict=True
        ):
            chosen = augmented(images[indices], shift, flip, self.augment)
            yield self.normalise(chosen), labels[indices]

    def part(self, name: str, share: Share) -> Iterator[Batch]:
        """All examples of a part, 1000 at a time."""
        images, labels = self.images[name], self.labels[name]
        for x, target in zip(images.split(1000), labels.split(1000), strict=True):
            part = slice(share.rank, None, share.ranks)
            yield self.normalise(x[part]), target[part]

    def examples(self, name: str, indices: Tensor) -> Batch:
        """Some examples of a part, normalised."""
        indices = indices.to(self.mean.device)
        return self.normalise(self.images[name][indices]), self.labels[name][indices]

    def size(self, name: str) -> int:
        return len(self.labels[name])


def load(path: Path, task: Task, device: torch.device) -> InMemory:
    """The task's training, validation and test examples. Raises DamagedFile."""
    arrays, _ = load_arrays(path)
    train, validation = splits(len(arrays["train_labels"]), task["validation"])
    images = {"train": arrays["train_images"][train], "validation": arrays["train_images"][validation]}
    labels = {"train": arrays["train_labels"][train], "validation": arrays["train_labels"][validation]}
    images["test"], labels["test"] = arrays["test_images"], arrays["test_labels"]
    pixels = {part: torch.from_numpy(array).to(device) for part, array in images.items()}
    if task["image"]:
        pixels = {part: fitted(x, task["image"]) for part, x in pixels.items()}
    mean, scale = (
        torch.from_numpy(array).to(device).view(1, -1, 1, 1)
        for array in (arrays["mean"], scale_of(arrays["std"]))
    )
    return InMemory(
        pixels,
        {part: torch.from_numpy(array).to(device) for part, array in labels.items()},
        mean,
        scale,
        task["augment"],
        task["batch_size"],
    )


def fitted(images: Tensor, shape: Sequence[int]) -> Tensor:
    """[N, C, H, W] in the middle of black images of another size; one channel is repeated to `shape`'s."""
    channels, height, width = shape
    top, left = (height - images.shape[2]) // 2, (width - images.shape[3]) // 2
    bottom, right = height - images.shape[2] - top, width - images.shape[3] - left
    return F.pad(images, (left, right, top, bottom)).expand(-1, channels, -1, -1).contiguous()


def order(seed: int, epoch: int, examples: int, batch_size: int) -> Tensor:
    """Indices of an epoch's whole batches, [steps, B]: its own stream for each seed and epoch."""
    generator = torch.Generator().manual_seed(seed_for(seed, "order", epoch))
    shuffled = torch.randperm(examples, generator=generator)
    return shuffled[: examples // batch_size * batch_size].view(-1, batch_size)


def augmentation(seed: int, epoch: int, examples: int, kinds: Sequence[str]) -> Batch:
    """Shifts [N, 2] of 0 to 2 PAD pixels and flips [N] for an epoch, from a stream of their own."""
    if not kinds:
        return torch.empty(examples, 2), torch.empty(examples)
    rng = np.random.default_rng(seed_for(seed, "augmentation", epoch))
    shifts = rng.integers(0, 2 * PAD + 1, (examples, 2))
    return torch.from_numpy(shifts), torch.from_numpy(rng.integers(0, 2, examples).astype(bool))


def augmented(images: Tensor, shifts: Tensor, flips: Tensor, kinds: Sequence[str]) -> Tensor:
    """Crop each image where its shift says, out of itself in a black frame; mirror those to be flipped."""
    height, width = images.shape[2:]
    columns = torch.arange(width, device=images.device).expand(len(images), width)
    if "flip" in kinds:
        columns = torch.where(flips[:, None], width - 1 - columns, columns)
    rows = torch.arange(height, device=images.device).expand(len(images), height)
    if "crop" in kinds:
        images = F.pad(images, (PAD, PAD, PAD, PAD))
        rows, columns = rows + shifts[:, :1], columns + shifts[:, 1:]
    elif "flip" not in kinds:
        return images
    number = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
