"""A fuzz of data: every file of every kind of data set there is, missing, truncated, swapped, empty or
something else. What comes of it is one line that names the file or the data set, and nothing half-written."""

import shutil

import official_files
import pytest
import torchvision
from conftest import DATASETS
from lottery import plugins
from lottery.data import kind_of
from lottery.data.images import prepare
from lottery.datasets import cifar100_slice
from lottery.errors import InputError

FOLDER = {"name": "flowers", "of": "image-folder", "shape": [3, 32, 32], "classes": 2, "train": 10, "test": 4}
TEXTS = {"name": "mine", "of": "text-files", "train": 300, "vocabulary": 9}


def unpacked_mnist(root, monkeypatch):
    import gzip

    official_files.mnist(root, monkeypatch)
    for path in (root / "MNIST/raw").iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()


def fashion_mnist(root, monkeypatch):
    official_files.mnist(root, monkeypatch)
    (root / "MNIST").rename(root / "FashionMNIST")
    for name in ("resources", "mirrors"):
        monkeypatch.setattr(
            torchvision.datasets.FashionMNIST, name, getattr(torchvision.datasets.MNIST, name)
        )
    official_files.sizes(monkeypatch, "fashion-mnist", 40, 20)


def slice_of_cifar100(root, monkeypatch):
    """Its own two files, without the archive and without what the whole set has beside them."""
    official_files.cifar100(root / "cifar100-slice", monkeypatch)
    official_files.sizes(monkeypatch, "cifar100-slice", 200, 100)
    own = torchvision.datasets.CIFAR100
    monkeypatch.setattr(cifar100_slice, "FILES", {"train": own.train_list[0][1], "test": own.test_list[0][1]})
    next((root / "cifar100-slice").glob("*.tar.gz")).unlink()
    files = [path for path in (root / "cifar100-slice").rglob("*") if path.is_file()]
    for path in files:
        if path.name not in ("train", "test", "meta"):
            path.unlink()


def without_archive(make):
    """A data set as it is when its archive was unpacked and deleted."""

    def made(root, monkeypatch):
        make(root, monkeypatch)
        next(root.glob("*.tar.gz")).unlink()

    return made


def only_archive(root, monkeypatch):
    official_files.cifar10(root, monkeypatch)
    shutil.rmtree(root / "cifar-10-batches-py")


def unpacked_imagenet(root, monkeypatch):
    official_files.imagenet_archives(root, monkeypatch)
    prepare(DATASETS["imagenet"], root, root / "out.safetensors")
    (root / "out.safetensors").unlink()
    for path in (root / "imagenet").iterdir():
        if path.is_file():
            path.unlink()


KINDS = {  # how it is made, its entry
    "mnist": (official_files.mnist, DATASETS["mnist"]),
    "mnist unpacked": (unpacked_mnist, DATASETS["mnist"]),
    "fashion-mnist": (fashion_mnist, DATASETS["fashion-mnist"]),
    "cifar10": (without_archive(official_files.cifar10), DATASETS["cifar10"]),
    "cifar10 archive": (only_archive, DATASETS["cifar10"]),
    "cifar100": (without_archive(official_files.cifar100), DATASETS["cifar100"]),
    "cifar100 slice": (slice_of_cifar100, DATASETS["cifar100-slice"]),
    "svhn": (official_files.svhn, DATASETS["svhn"]),
    "images in memory": (lambda root, _: official_files.image_folder(root), FOLDER),
    "images streamed": (lambda root, _: official_files.image_folder(root), FOLDER | {"streamed": True}),
    "imagenet archives": (official_files.imagenet_archives, DATASETS["imagenet"]),
    "imagenet": (unpacked_imagenet, DATASETS["imagenet"]),
    "places365": (official_files.places365, DATASETS["places365"]),
    "wikitext-2": (official_files.wikitext_2, DATASETS["wikitext-2"]),
    "multi30k": (official_files.multi30k_english, DATASETS["multi30k-english"]),
    "texts": (lambda root, _: official_files.texts(root), TEXTS),
}


def missing(path, other):
    path.unlink()


def truncated(path, other):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_at_its_end(path, other):
    path.write_bytes(path.read_bytes()[:-1])


def longer(path, other):
    path.write_bytes(path.read_bytes() * 2)


def swapped(path, other):
    path.rename(path.with_name("x"))
    other.rename(path)
    path.with_name("x").rename(other)


def empty(path, other):
    path.write_bytes(b"")


def a_text(path, other):
    path.write_text("<html>404</html>\n" * 100)


def a_folder(path, other):
    path.unlink()
    path.mkdir()


def a_link_to_nothing(path, other):
    path.unlink()
    path.symlink_to(path.with_name("nothing"))


WAYS = (missing, truncated, cut_at_its_end, longer, swapped, empty, a_text, a_folder, a_link_to_nothing)
HARMLESS = {swapped, longer, cut_at_its_end}  # to images: labels cannot be known, decoders read up to the end
OF_TEXTS = {truncated, *HARMLESS}  # to a user's own, of which only the number of training tokens is known


def test_every_data_set_there_is_is_damaged_here():
    """But the embedded ones, whose checksums test_data.py and test_texts.py hold."""
    embedded = {"digits", "grammar"}
    assert {entry["of"] for _, entry in KINDS.values()} == set(plugins.names("datasets")) - embedded


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_data_is_one_line_and_nothing_is_half_written(kind, tmp_path, monkeypatch):
    make, entry = KINDS[kind]
    whole, root, target = tmp_path / "whole", tmp_path / "root", tmp_path / "results/out.safetensors"
    whole.mkdir()
    make(whole, monkeypatch)
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    # of many images, some
    chosen = [name for name in names if name.suffix.lower() not in (".jpg", ".jpeg")]
    images = [name for name in names if name not in chosen]
    refused = 0
    for name in chosen + images[:: max(1, len(images) // 5)]:
        for way in WAYS:
            other = names[names.index(name) - 1]
            if way is swapped and other == name:
                continue
            shutil.copytree(whole, root)
            way(root / name, root / other)
            try:
                kind_of(entry).prepare(entry, root, target)
            except InputError as error:
                said = str(error)
                assert "\n" not in said and len(said) < 400, (name, way, said)
                named = (name.stem, entry["name"], other.stem if way is swapped else name.stem)
                assert any(text in said.replace(str(root), "") for text in named), (name, way, said)
                assert not target.exists() and not list(tmp_path.glob("results/.*")), (name, way)
                refused += 1
            else:
                known = name.stem == "train" and way is not cut_at_its_end
                assert way in (HARMLESS if name in images else OF_TEXTS), (name, way)
                assert name in images or (entry is TEXTS and not known), (name, way)
                target.unlink()
            shutil.rmtree(root)
    assert refused > 5


def test_unpacked_files_are_read_where_packed_ones_are_looked_for(tmp_path, monkeypatch):
    import numpy as np
    from lottery.weights import load_arrays

    found = []
    for name, make in (("packed", official_files.mnist), ("unpacked", unpacked_mnist)):
        monkeypatch.setattr(official_files, "RNG", np.random.default_rng(0))
        make(tmp_path / name, monkeypatch)
        before = sorted((tmp_path / name).rglob("*"))
        prepare(DATASETS["mnist"], tmp_path / name, tmp_path / f"{name}.safetensors")
        assert sorted((tmp_path / name).rglob("*")) == before
        found.append(load_arrays(tmp_path / f"{name}.safetensors")[0])
    assert all(np.array_equal(found[0][key], found[1][key]) for key in found[0])
