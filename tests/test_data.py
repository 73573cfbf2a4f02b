"""Official files, whole or refused: real ones where LOTTERY_DATA has them, and made in their formats."""

import hashlib
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import official_files
import pytest
import torchvision.datasets
import yaml
from conftest import DATASETS
from lottery import plugins
from lottery.config import read_datasets
from lottery.data.images import describe, prepare, selected
from lottery.datasets import cifar100_slice
from lottery.datasets.mnist import load_idx
from lottery.errors import DamagedFile, InputError
from lottery.weights import load_arrays

REAL = Path(os.environ.get("LOTTERY_DATA", "data"))
FLOWERS = {
    "name": "flowers",
    "of": "image-folder",
    "shape": [3, 32, 32],
    "classes": 2,
    "train": 10,
    "test": 4,
}
WHOLE = {
    "mnist": (official_files.mnist, (40, 1, 28, 28)),
    "cifar10": (official_files.cifar10, (50, 3, 32, 32)),
    "cifar100": (official_files.cifar100, (200, 3, 32, 32)),
    "svhn": (official_files.svhn, (30, 3, 32, 32)),
}


@pytest.fixture
def prepared(tmp_path):
    """Prepare a data set from `tmp_path`: prepared(dataset) -> its arrays."""

    def prepare_one(dataset):
        entry = DATASETS[dataset] if isinstance(dataset, str) else dataset
        prepare(entry, tmp_path, tmp_path / "out.safetensors")
        arrays, header = load_arrays(tmp_path / "out.safetensors")
        assert header["dataset"] == entry
        return arrays

    return prepare_one


def refused(prepared, dataset, message, tmp_path):
    with pytest.raises((InputError, DamagedFile), match=message) as error:
        prepared(dataset)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out.safetensors").exists()


# --- small images, in memory


@pytest.mark.parametrize("name", WHOLE)
def test_the_official_format_is_read(name, prepared, tmp_path, monkeypatch):
    make, shape = WHOLE[name]
    make(tmp_path, monkeypatch)
    arrays = prepared(name)
    assert arrays["train_images"].shape == shape and arrays["train_images"].dtype == np.uint8
    classes = describe(DATASETS[name]).classes
    assert arrays["test_labels"].tolist() == [n % classes for n in range(len(arrays["test_labels"]))]
    assert arrays["mean"] == pytest.approx(arrays["train_images"].mean(axis=(0, 2, 3)), rel=1e-5)


def test_pixels_and_channels_are_where_they_were(prepared, tmp_path, monkeypatch):
    official_files.cifar10(tmp_path, monkeypatch)
    official = torchvision.datasets.CIFAR10(tmp_path, train=True)
    images = prepared("cifar10")["train_images"]
    assert all(np.array_equal(images[n].transpose(1, 2, 0), np.asarray(official[n][0])) for n in range(50))
    official_files.svhn(tmp_path, monkeypatch)
    official = torchvision.datasets.SVHN(tmp_path / "svhn", "train")
    images = prepared("svhn")["train_images"]
    assert all(np.array_equal(images[n].transpose(1, 2, 0), np.asarray(official[n][0])) for n in range(30))


def test_a_read_only_data_root_will_do(prepared, tmp_path, monkeypatch):
    official_files.mnist(tmp_path, monkeypatch)
    files = sorted(path.name for path in (tmp_path / "MNIST/raw").iterdir())
    prepared("mnist")
    assert sorted(path.name for path in (tmp_path / "MNIST/raw").iterdir()) == files


FILES = {
    "mnist": "MNIST/raw/train-images-idx3-ubyte.gz",
    "cifar10": "cifar-10-batches-py/data_batch_3",
    "cifar100": "cifar-100-python/train",
    "svhn": "svhn/train_32x32.mat",
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused_by_name_and_checksum(name, prepared, tmp_path, monkeypatch):
    WHOLE[name][0](tmp_path, monkeypatch)
    path = tmp_path / FILES[name]
    path.write_bytes(path.read_bytes()[:-100])
    refused(prepared, name, rf"{path.name}: has MD5 \w+, the official file has", tmp_path)


@pytest.mark.parametrize("name", ["mnist", "svhn"])
def test_a_missing_file_that_cannot_be_downloaded_is_one_line(name, prepared, tmp_path, monkeypatch):
    WHOLE[name][0](tmp_path, monkeypatch)
    (tmp_path / FILES[name]).unlink()
    refused(prepared, name, rf"{Path(FILES[name]).name}: is missing and could not be downloaded", tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_an_archive_is_unpacked_or_refused(name, prepared, tmp_path, monkeypatch):
    WHOLE[name][0](tmp_path, monkeypatch)
    whole, folder = prepared(name), (tmp_path / FILES[name]).parent
    shutil.rmtree(folder)
    assert np.array_equal(prepared(name)["train_images"], whole["train_images"])
    (tmp_path / "out.safetensors").unlink()

    shutil.rmtree(folder)
    archive = next(tmp_path.glob("*.tar.gz"))
    archive.write_bytes(archive.read_bytes()[:1000])  # a download that was cut off
    refused(prepared, name, rf"{archive.name}: has MD5 \w+, the official file has", tmp_path)
    archive.unlink()
    refused(prepared, name, rf"is missing, and .*{archive.name}: is missing and could not be", tmp_path)


def test_an_unreachable_mirror_is_tried_before_giving_up(tmp_path):
    dataset = SimpleNamespace(
        __name__="Nothing",
        resources=[("a.gz", "0")],
        mirrors=["http://127.0.0.1:9/", "http://127.0.0.1:9/b/"],
    )
    with pytest.raises(InputError, match=r"Nothing/raw/a\.gz"):
        load_idx(dataset, tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("TRAIN", 41, r"found images \(40, 1, 28, 28\) and labels \(40,\), expected"),
        ("CLASSES", 9, "mnist: train: found labels 0 to 9, allowed 0 to 8"),
    ],
)
def test_sizes_and_labels_are_checked(prepared, tmp_path, monkeypatch, name, change, message):
    official_files.mnist(tmp_path, monkeypatch)
    monkeypatch.setattr(plugins.find("datasets", "mnist"), name, change)
    refused(prepared, "mnist", message, tmp_path)


def test_digits_are_checked_against_their_checksum(monkeypatch):
    digits = plugins.find("datasets", "digits")
    monkeypatch.setattr(digits, "SHA256", "0" * 64)
    with pytest.raises(DamagedFile, match="scikit-learn's digits: has checksum 631cb83de3a2ab62"):
        digits.load(Path())


# --- parts of sets


def test_a_part_takes_the_first_classes_and_examples(prepared, tmp_path, monkeypatch):
    official_files.cifar100(tmp_path, monkeypatch, per_class=4)
    whole = prepared("cifar100")
    part = {"name": "part", "of": "cifar100", "first_classes": 20, "first_per_class": 3}
    arrays, said = prepared(part), describe(part)
    assert (said.classes, said.train) == (20, 60) == (20, len(arrays["train_labels"]))
    assert np.bincount(arrays["train_labels"]).tolist() == [3] * 20
    assert arrays["test_labels"].tolist() == [*range(20)]
    mine = np.flatnonzero(whole["train_labels"] == 7)[:3]
    assert np.array_equal(arrays["train_images"][arrays["train_labels"] == 7], whole["train_images"][mine])


def test_halves_are_stratified_and_share_nothing(prepared, tmp_path, monkeypatch):
    official_files.cifar10(tmp_path, monkeypatch)
    halves = [prepared(name) for name in ("cifar10a", "cifar10b")]
    assert [len(half["train_labels"]) for half in halves] == [25, 25] and describe(
        DATASETS["cifar10a"]
    ).train == 25
    images = [{image.tobytes() for image in half["train_images"]} for half in halves]
    assert not images[0] & images[1]
    counts = [np.bincount(half["train_labels"], minlength=10) for half in halves]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    assert len(halves[0]["test_labels"]) == 20


LABELS = {  # of the whole training sets: those that are there, else as many of each class, shuffled
    name: np.random.default_rng(0).permutation(np.arange(size) % classes)
    for name, size, classes in (
        ("cifar10", 50_000, 10),
        ("cifar100", 50_000, 100),
        ("mnist", 60_000, 10),
        ("fashion-mnist", 60_000, 10),
    )
} | {"digits": plugins.find("datasets", "digits").load(Path())["train_labels"]}


def parts():
    """Entry -> indices of its training examples, of all entries that are a part of a set of images."""
    named = {name: entry for name, entry in DATASETS.items() if entry["of"] != name}
    named = {n: entry for n, entry in named.items() if plugins.find("datasets", entry["of"]).KIND == "images"}
    return {
        name: set(selected(entry, LABELS[entry["of"]], "train").tolist()) for name, entry in named.items()
    }


def test_every_part_is_nested_within_its_half_and_disjoint_from_the_other():
    found = parts()
    assert {"cifar10a-1000", "cifar10b-5000"} <= found.keys()
    for name, mine in found.items():
        entry = DATASETS[name]
        assert len(mine) == describe(entry).train, name
        for other, theirs in found.items():
            if entry["of"] != DATASETS[other]["of"] or "half" not in entry:
                continue
            half = DATASETS[other].get("half")
            if half is not None and half != entry["half"]:
                assert not mine & theirs, (name, other)
            elif "first_per_class" not in DATASETS[other] and half == entry["half"]:
                assert mine <= theirs, (name, other)
    assert found["cifar10a-1000"] < found["cifar10a-5000"] < found["cifar10a"]
    assert [len(found[name]) for name in ("cifar10a-1000", "cifar10a-5000", "cifar10b-5000")] == [
        1000,
        5000,
        5000,
    ]


HALVES = {
    "digits-a": "99a3fd7a585e0e61",
    "digits-b": "e968ca7dead589e3",
    "cifar10a": "f07734101c793d05",
    "cifar10b": "83aafb42639ba684",
}


@pytest.mark.parametrize("name", HALVES)
def test_the_halves_stay_what_they_were(name):
    """Those that runs are addressed by: another half under the same name would be another study."""
    chosen = selected(DATASETS[name], LABELS[DATASETS[name]["of"]], "train")
    assert hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()[:16] == HALVES[name]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"of": "digits", "first_classes": 11, "first_per_class": 2},
            "first_classes: found 11, allowed: up to 10",
        ),
        ({"of": "digits", "first_per_class": 144}, "first_per_class: found 144, allowed: up to 143"),
        (
            {"of": "digits", "first_per_class": 72, "half": "b"},
            "first_per_class: found 72, allowed: up to 71",
        ),
        (
            FLOWERS | {"classes": 6, "test": 6, "half": "a"},
            "half: has 5 training examples, which cannot be of 6",
        ),
        (FLOWERS | {"classes": 11}, "train: found 10, allowed: at least one image of each of 11 classes"),
        (FLOWERS | {"classes": 5}, "test: found 4, allowed: at least one image of each of 5 classes"),
        (FLOWERS | {"shape": [4, 32, 32]}, "shape: found 4 channels, allowed: 1, 3"),
    ],
)
def test_more_than_there_can_be_is_refused_at_planning(entry, message, tmp_path):
    entry = {key: value for key, value in entry.items() if key != "name"}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"own": entry}))
    with pytest.raises(InputError, match=rf"own.yaml: own: {message}"):
        read_datasets(tmp_path)


def test_a_half_of_a_class_with_one_image_is_refused_in_one_line(prepared, tmp_path):
    official_files.image_folder(tmp_path)
    for number in range(1, 5):
        (tmp_path / f"flowers/train/tulip/{number}.jpg").unlink()
    entry = FLOWERS | {"train": 6, "half": "a"}
    refused(prepared, entry, "flowers: half: class 1 has 1 training example, allowed: 2 or more", tmp_path)


@pytest.mark.parametrize("streamed", [{}, {"streamed": True}])
def test_fewer_classes_than_said_are_refused(prepared, tmp_path, streamed):
    official_files.image_folder(tmp_path)
    entry = FLOWERS | {"classes": 4} | streamed
    refused(prepared, entry, "flowers: train: found 2 classes, expected 4", tmp_path)


def test_more_examples_than_a_class_has_are_refused(prepared, tmp_path, monkeypatch):
    official_files.cifar100(tmp_path, monkeypatch)
    part = {"name": "part", "of": "cifar100", "first_per_class": 3}
    refused(prepared, part, "first_per_class: 3 asked for, class 0 has 2", tmp_path)


def test_the_slice_of_cifar100_is_the_same_from_its_own_files_and_from_the_whole(
    prepared, tmp_path, monkeypatch
):
    official_files.cifar100(tmp_path, monkeypatch, per_class=60)
    official_files.sizes(monkeypatch, "cifar100-slice", 5000, 100)
    cut = prepared("cifar100-slice")
    whole = prepared("cifar100")
    first = np.concatenate([np.flatnonzero(whole["train_labels"] == label)[:50] for label in range(100)])
    assert np.array_equal(cut["train_images"], whole["train_images"][np.sort(first)])

    official_files.cifar100(tmp_path / "cifar100-slice", monkeypatch, per_class=50)
    own = torchvision.datasets.CIFAR100
    monkeypatch.setattr(cifar100_slice, "FILES", {"train": own.train_list[0][1], "test": own.test_list[0][1]})
    assert prepared("cifar100-slice")["train_images"].shape == (5000, 3, 32, 32)


# --- files of images


def test_imagenet_is_unpacked_from_its_archives_and_listed(prepared, tmp_path, monkeypatch):
    official_files.imagenet_archives(tmp_path, monkeypatch)
    for _ in range(2):  # from the archives, and from what was unpacked
        arrays = prepared("imagenet")
        assert arrays["train_labels"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert sorted(arrays["test_labels"].tolist()) == [0, 0, 1, 1, 2, 2]
        files = arrays["train_files"].tobytes().decode().split("\n")
        assert files[4] == f"imagenet/train/{official_files.WNIDS[1]}/{official_files.WNIDS[1]}_0.JPEG"
        assert arrays["train_sizes"][4] == (tmp_path / files[4]).stat().st_size


def test_imagenet_without_files_says_where_they_go(prepared, tmp_path):
    message = (
        "imagenet: has neither a folder train nor ILSVRC2012_devkit_t12.tar.gz and ILSVRC2012_img_train.tar"
    )
    refused(prepared, "imagenet", message, tmp_path)


def test_a_damaged_archive_of_imagenet_is_refused(prepared, tmp_path, monkeypatch):
    official_files.imagenet_archives(tmp_path, monkeypatch)
    (tmp_path / "imagenet/ILSVRC2012_img_val.tar").write_bytes(b"cut off")
    refused(prepared, "imagenet", "ILSVRC2012_img_val.tar is damaged", tmp_path)


def test_too_few_images_are_refused(prepared, tmp_path, monkeypatch):
    official_files.imagenet_archives(tmp_path, monkeypatch)
    prepared("imagenet")
    (tmp_path / "out.safetensors").unlink()
    next((tmp_path / "imagenet/train").rglob("*.JPEG")).unlink()
    refused(
        prepared,
        "imagenet",
        r"imagenet: train: found images \(11, 3, 224, 224\) and labels \(11,\), expected",
        tmp_path,
    )


def test_places365_is_listed(prepared, tmp_path, monkeypatch):
    official_files.places365(tmp_path, monkeypatch)
    arrays = prepared("places365")
    assert arrays["train_labels"].tolist() == [0, 0, 0, 1, 1, 1]
    assert arrays["test_files"].tobytes().decode().split("\n")[0] == "places365/val_256/Places365_val_0.jpg"


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("places365_val.txt", "places365_val.txt: is missing; it is in filelist_places365-standard.tar"),
        ("val_256", "val_256: is missing; unpack val_256.tar of http"),
    ],
)
def test_places365_says_what_is_missing(prepared, tmp_path, monkeypatch, gone, message):
    official_files.places365(tmp_path, monkeypatch)
    (tmp_path / "places365" / gone).rename(tmp_path / "elsewhere")
    refused(prepared, "places365", message, tmp_path)


def test_a_folder_of_images_is_a_data_set(prepared, tmp_path):
    official_files.image_folder(tmp_path)
    arrays = prepared(FLOWERS)
    assert (
        arrays["train_images"].shape == (10, 3, 32, 32)
        and arrays["train_labels"].tolist() == [0] * 5 + [1] * 5
    )
    assert arrays["test_images"].shape == (4, 3, 32, 32)


@pytest.mark.parametrize("dataset", ["imagenet", "flowers"])
def test_an_image_that_cannot_be_decoded_is_named(prepared, tmp_path, monkeypatch, dataset):
    if dataset == "imagenet":
        official_files.imagenet_archives(tmp_path, monkeypatch)
        prepared(dataset)
        (tmp_path / "out.safetensors").unlink()
        path = sorted((tmp_path / "imagenet/val").rglob("*.JPEG"))[0]
    else:
        official_files.image_folder(tmp_path)
        path = tmp_path / "flowers/train/tulip/3.jpg"
    path.write_bytes(path.read_bytes()[:200])
    dataset = FLOWERS if dataset == "flowers" else dataset
    refused(prepared, dataset, f"{path.name}: cannot be decoded as an image", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "flowers/train: expected a folder of images for each class"),
        (
            lambda folder: shutil.rmtree(folder / "test/rose"),
            r"class 'rose' is in one of train/ and test/ only",
        ),
        (
            lambda folder: (folder / "train/rose/0.jpg").unlink(),
            r"flowers: train: found images \(9, 3, 32, 32\)",
        ),
    ],
)
def test_a_folder_that_is_not_as_said_is_refused(prepared, tmp_path, change, message):
    official_files.image_folder(tmp_path)
    change(tmp_path / "flowers")
    refused(prepared, FLOWERS, message, tmp_path)


def test_a_folder_with_more_classes_than_said_is_refused(prepared, tmp_path):
    official_files.image_folder(tmp_path)
    for part in ("train", "test"):
        shutil.copytree(tmp_path / f"flowers/{part}/rose", tmp_path / f"flowers/{part}/weed")
    more = FLOWERS | {"train": 15, "test": 6}
    refused(prepared, more, "flowers: train: found labels 0 to 2, allowed 0 to 1", tmp_path)


# --- the real files

EXPECTED = {  # first training label, mean of the first channel
    "mnist": ("MNIST/raw", 5, 33.32),
    "fashion-mnist": ("FashionMNIST/raw", 9, 72.94),
    "cifar10": ("cifar-10-batches-py", 6, 125.31),
    "cifar100-slice": ("cifar100-slice", 19, 129.24),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_real_files_are_read(name, tmp_path):
    folder, label, mean = EXPECTED[name]
    if not (REAL / folder).exists():
        pytest.skip(f"no {folder} under {REAL}; set LOTTERY_DATA")
    prepare(DATASETS[name], REAL, tmp_path / "data.safetensors")
    arrays, _ = load_arrays(tmp_path / "data.safetensors")
    assert np.bincount(arrays["test_labels"]).sum() == (1_000 if name == "cifar100-slice" else 10_000)
    assert (arrays["train_labels"][0], arrays["mean"][0]) == (label, pytest.approx(mean, abs=0.01))
