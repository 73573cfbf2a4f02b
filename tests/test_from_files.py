"""The data path of sets too large for memory: the same guarantees, whatever the number of workers."""

import os

import numpy as np
import official_files
import pytest
import torch
from conftest import TINY
from lottery import tickets
from lottery.data.images import prepare
from lottery.errors import InputError
from lottery.pruning import Pruning
from lottery.rewinding import Rewind
from lottery.runs import Process, Run
from lottery.seeds import seed_for
from lottery.tasks import supervised
from lottery.tasks.supervised import from_files, in_memory, loop
from lottery.training import checkpoints
from lottery.training.ranks import Share
from PIL import Image

MANY = {"name": "flowers", "of": "image-folder", "streamed": True, "shape": [3, 32, 32]}
MANY |= {"classes": 2, "train": 10, "test": 4}
TASK = TINY | {
    "name": "flowers",
    "dataset": MANY,
    "image": None,
    "augment": ["resized-crop", "flip"],
    "validation": 2,
    "model": {"name": "vgg", "convs": [1, 1], "width": 4},
    "batch_size": 4,
    "length": "epoch3",
    "evaluate_every": "epoch1",
    "schedule": {"warmup": 0, "milestones": [], "gamma": 0.1},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.0},
    "clip_norm": None,
    "precision": "float32",
    "compile": False,
    "rewind_points": ["epoch1"],
}


ALL = Share()


@pytest.fixture
def run(tmp_path):
    official_files.image_folder(tmp_path)
    prepare(MANY, tmp_path, tmp_path / "flowers.safetensors")
    start = supervised.initialise(TASK, seed_for(1, "init"))
    mask, start = tickets.random_ticket(Pruning(), 3, start, np.random.default_rng(0))
    data = tmp_path / "flowers.safetensors"
    checkpoint, process = tmp_path / "checkpoint.safetensors", Process(data_root=tmp_path)
    return Run(start, mask, 1, Rewind(), checkpoint, "test", data, process=process)


def images_of(run, seed, epoch, done=0, share=ALL, augment=None):
    task = TASK | ({} if augment is None else {"augment": augment})
    data = from_files.load(run.data, task, torch.device("cpu"), run.process.data_root)
    return [(x, y) for x, y in data.training(seed, epoch, done, share)]


def test_crops_are_drawn_by_seed_epoch_and_image(run, monkeypatch):
    first, again = (images_of(run, 1, 0) for _ in range(2))
    assert len(first) == 2 and first[0][0].shape == (4, 3, 32, 32)
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0][0], images_of(run, 1, 1)[0][0])
    later = images_of(run, 1, 0, done=1)
    assert len(later) == 1 and torch.equal(later[0][0], first[1][0])
    monkeypatch.setattr(from_files.os, "sched_getaffinity", lambda pid: range(3))
    assert torch.equal(images_of(run, 1, 0)[1][0], first[1][0])


def test_shares_make_up_the_batch(run):
    whole = images_of(run, 1, 0)
    halves = [images_of(run, 1, 0, share=Share(rank, 2)) for rank in range(2)]
    assert torch.equal(torch.cat([halves[0][0][0], halves[1][0][0]]), whole[0][0])


def test_without_augmentation_every_epoch_has_the_same_images(run):
    def sorted_images(epoch):
        x = torch.cat([x for x, _ in images_of(run, 1, epoch, augment=[])])
        return {image.numpy().tobytes() for image in x}

    assert sorted_images(0) == sorted_images(2)


def test_flips_alone_are_of_about_half_the_images_anew_each_epoch(run):
    """Each image is the one that is cut at the centre, or its mirror."""

    def epoch(number, augment):
        batches = images_of(run, 1, number, augment=augment)
        return torch.cat([x for x, _ in batches])

    flipped = []
    for number in range(4):
        plain, mine = epoch(number, []), epoch(number, ["flip"])
        same = [torch.equal(a, b) for a, b in zip(plain, mine, strict=True)]
        mirrored = [torch.equal(a.flip(2), b) for a, b in zip(plain, mine, strict=True)]
        assert all(a != b for a, b in zip(same, mirrored, strict=True))
        flipped.append(tuple(mirrored))
    assert 8 < sum(sum(one) for one in flipped) < 24 and len(set(flipped)) > 1
    assert torch.equal(epoch(1, ["flip"]), epoch(1, ["flip"]))


@pytest.mark.parametrize("streamed", [True, False])
def test_a_constant_channel_becomes_0(streamed, tmp_path):
    """Also where images of the test set are not constant in it, as one of noise is not."""
    official_files.image_folder(tmp_path)
    for path in sorted((tmp_path / "flowers").rglob("*.jpg")):
        pixels = np.array(Image.open(path))
        if "test" not in path.parts:
            pixels[..., 2] = 77
        path.unlink()
        Image.fromarray(pixels).save(path.with_suffix(".png"))
    entry = {key: value for key, value in MANY.items() if streamed or key != "streamed"}
    prepare(entry, tmp_path, tmp_path / "flowers.safetensors")
    augment = ["resized-crop", "flip"] if streamed else ["crop", "flip"]
    task = TASK | {"dataset": entry, "augment": augment}
    process = Process(data_root=tmp_path)
    data = loop.load_data(task, tmp_path / "flowers.safetensors", process, torch.device("cpu"))
    batches = [*data.training(1, 0, 0, ALL), *data.part("validation", ALL), *data.part("test", ALL)]
    for x, _ in batches:
        assert torch.isfinite(x).all() and (x[:, 2] == 0).all()
        assert (x[:, :2].std(dim=(0, 2, 3)) > 0.3).all()
    assert len(batches) == 4


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"two\nlines.jpg"])
def test_a_file_name_that_cannot_be_listed_is_refused_in_one_line(name, tmp_path):
    official_files.image_folder(tmp_path)
    folder = os.fsencode(tmp_path / "flowers/train/rose")
    os.rename(folder + b"/0.jpg", folder + b"/" + name)
    with pytest.raises(InputError, match=r"flowers/train/rose/(caf\\udce9|two\\nlines).jpg': ") as error:
        prepare(MANY, tmp_path, tmp_path / "flowers.safetensors")
    assert "\n" not in str(error.value) and str(error.value).encode()
    assert not (tmp_path / "flowers.safetensors").exists()
    resident = {key: value for key, value in MANY.items() if key != "streamed"}
    prepare(resident, tmp_path, tmp_path / "flowers.safetensors")


def test_the_test_set_is_that_of_the_resident_path(run, tmp_path):
    resident = {key: value for key, value in MANY.items() if key != "streamed"}
    prepare(resident, tmp_path, tmp_path / "resident.safetensors")
    other = in_memory.load(tmp_path / "resident.safetensors", TASK, torch.device("cpu"))
    mine = from_files.load(run.data, TASK, torch.device("cpu"), run.process.data_root)
    x, y = next(iter(mine.part("test", Share())))
    assert torch.equal(x, mine.normalise(other.images["test"])) and torch.equal(y, other.labels["test"])


def test_a_killed_training_goes_on_with_the_same_bits(run, monkeypatch):
    undisturbed = loop.train(TASK, run)
    assert undisturbed.metrics["train_accuracy"] == undisturbed.curve[-1]["train_accuracy"]

    class Killed(Exception):  # noqa: N818
        pass

    class Dies(checkpoints.Checkpoint):
        due = True

        def save(self, arrays, state):
            super().save(arrays, state)
            if state["step"] == 3:
                raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Checkpoint", Dies)
        with pytest.raises(Killed):
            loop.train(TASK, run)
    again = loop.train(TASK, run)
    assert again.curve == undisturbed.curve
    for name, values in undisturbed.network.tensors.items():
        assert values.tobytes() == again.network.tensors[name].tobytes(), name


def test_two_processes_train_on_files(run):
    trained = loop.train(TASK | {"gpus": 2}, run)
    for name, m in run.mask.items():
        assert np.all(trained.network.tensors[name][~m] == 0)
    assert trained.metrics["steps"] == 6 and np.isfinite(trained.metrics["test_loss"])


def test_an_image_that_has_gone_bad_is_named(run, tmp_path):
    path = tmp_path / "flowers/train/rose/1.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match=rf"^{path}: cannot be decoded as an image \(.*\)$"):
        loop.train(dict(TASK) | {"validation": 0}, run)


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_changed_after_preparation_are_refused_and_not_trained_on(run, tmp_path, part):
    """Two whose labels are exchanged, as when both are moved to the other's class."""
    a, b = (tmp_path / "flowers" / part / name / "0.jpg" for name in ("rose", "tulip"))
    sizes = a.stat().st_size, b.stat().st_size
    assert sizes[0] != sizes[1]
    a.rename(tmp_path / "x")
    b.rename(a)
    (tmp_path / "x").rename(b)
    with pytest.raises(InputError) as refused:
        loop.train(dict(TASK) | {"validation": 0}, run)
    said = [
        f"{path}: has {now} bytes, had {before} when the data set was prepared; put it back, or delete "
        f"{run.data} and run again"
        for path, now, before in ((a, sizes[1], sizes[0]), (b, sizes[0], sizes[1]))
    ]
    assert str(refused.value) in said
