"""The data path of sets too large for memory: worker processes decode and crop images, the device normalises.
What an image is cut to depends on seed, epoch and image only, not on the workers."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...data.images import scale_of, splits
from ...data.images.decoding import centre_crop, decode, random_crop
from ...errors import InputError
from ...runs import Task
from ...seeds import seed_for
from ...training.ranks import Share
from ...weights import load_arrays
from .in_memory import Batch, order
from .settings import image_shape

AHEAD = 4  # batches that each worker prepares in advance


@dataclass(frozen=True)
class Images(Dataset[tuple[Tensor, Tensor]]):
    """Some images of the set, cropped; `seed`: of this epoch's augmentation, None for none of it.

    sizes: bytes that each file had when it was prepared, in the file `prepared`
    """

    prepared: Path
    root: Path
    files: Sequence[str]
    sizes: Tensor
    labels: Tensor
    shape: tuple[int, int, int]
    seed: int | None = None
    augment: Sequence[str] = ()

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path = self.root / self.files[index]
        image = decode(path, self.shape[0])
        if (size := path.stat().st_size) != self.sizes[index]:
            raise InputError(
                f"{path}: has {size} bytes, had {self.sizes[index]} when the data set was prepared; put it "
                f"back, or delete {self.prepared} and run again"
            )
        if self.seed is not None and "resized-crop" in self.augment:
            image = random_crop(image, self.shape, seed_for(self.seed, "crop", index))
        else:
            image = centre_crop(image, self.shape)
        if self.seed is not None and "flip" in self.augment and seed_for(self.seed, "flip", index) % 2:
            image = image.flip(2)
        return image, self.labels[index]


@dataclass(frozen=True)
class FromFiles:
    """The same face as `InMemory`, with images read from their files as they are wanted."""

    prepared: Path
    root: Path
    files: dict[str, Sequence[str]]
    sizes: dict[str, Tensor]
    labels: dict[str, Tensor]
    mean: Tensor
    scale: Tensor
    shape: tuple[int, int, int]
    augment: Sequence[str]
    batch_size: int

    def normalise(self, images: Tensor) -> Tensor:
        """[B, C, H, W] uint8 -> float32."""
        return (images.float() - self.mean) * self.scale

    def training(self, seed: int, epoch: int, done: int, share: Share) -> Iterator[Batch]:
        """The whole batches of an epoch but for the first `done`, augmented and normalised."""
        batches = share.of(order(seed, epoch, self.size("train"), self.batch_size))[done:]
        yield from self._batches("train", batches.tolist(), share, seed_for(seed, "augmentation", epoch))

    def part(self, name: str, share: Share) -> Iterator[Batch]:
        """All examples of a part, some at a time."""
        mine = range(share.rank, self.size(name), share.ranks)
        groups = [list(mine[i : i + 250]) for i in range(0, len(mine), 250)]
        yield from self._batches(name, groups, share, None)

    def examples(self, name: str, indices: Tensor) -> Batch:
        """Some examples of a part, normalised."""
        return next(self._batches(name, [indices.tolist()], Share(), None))

    def size(self, name: str) -> int:
        return len(self.labels[name])

    def _batches(
        self, name: str, batches: list[list[int]], share: Share, seed: int | None
    ) -> Iterator[Batch]:
        images = Images(
            self.prepared,
            self.root,
            self.files[name],
            self.sizes[name],
            self.labels[name],
            self.shape,
            seed,
            self.augment,
        )
        device = self.mean.device
        workers = max(1, len(os.sched_getaffinity(0)) // share.ranks)
        loader = DataLoader(
            images,
            batch_sampler=batches,
            num_workers=workers,
            multiprocessing_context="fork",  # spawned ones, as of a spawned process, import torch every epoch
            prefetch_factor=AHEAD,
            pin_memory=device.type == "cuda",
            worker_init_fn=_one_thread,
        )
        try:
            for x, target in loader:
                yield self.normalise(x.to(device, non_blocking=True)), target.to(device, non_blocking=True)
        except InputError as error:  # of a worker; torch puts its traceback before what it says
            raise InputError(re.split(r"lottery\.errors\.\w+: ", str(error))[-1]) from None


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)


def load(path: Path, task: Task, device: torch.device, root: Path) -> FromFiles:
    """The task's training, validation and test examples; root: folder that their paths begin in. Raises
    DamagedFile."""
    arrays, _ = load_arrays(path)
    files: dict[str, Sequence[str]] = {}
    sizes: dict[str, Tensor] = {}
    labels: dict[str, Tensor] = {}
    train, validation = splits(len(arrays["train_labels"]), task["validation"])
    every = range(len(arrays["test_labels"]))
    for part, of, members in (
        ("train", "train", train),
        ("validation", "train", validation),
        ("test", "test", every),
    ):
        lines = arrays[f"{of}_files"].tobytes().decode().split("\n")
        files[part] = [lines[i] for i in members]
        sizes[part], labels[part] = (
            torch.from_numpy(arrays[f"{of}_{kind}"])[torch.as_tensor(members)] for kind in ("sizes", "labels")
        )
    mean, scale = (
        torch.from_numpy(array).to(device).view(1, -1, 1, 1)
        for array in (arrays["mean"], scale_of(arrays["std"]))
    )
    shape = image_shape(task)
    return FromFiles(
        path, root, files, sizes, labels, mean, scale, shape, task["augment"], task["batch_size"]
    )
