"""Official files, whole or refused: real ones where LOTTERY_DATA has them, else made in their format."""

import gzip
import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lottery import plugins
from lottery.datasets.mnist import load_idx
from lottery.errors import DamagedFile, InputError
from lottery.preparation import prepare
from lottery.weights import load_arrays

REAL = Path(os.environ.get("LOTTERY_DATA", "data"))


def idx(array):
    """An array in the IDX format of MNIST: type byte, sizes, bytes."""
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """A data root with files of MNIST's format, 40 + 20 examples, which torchvision takes for MNIST."""
    import torchvision.datasets as datasets

    rng, resources = np.random.default_rng(0), []
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for part, size in (("train", 40), ("t10k", 20)):
        images = rng.integers(0, 256, (size, 28, 28)).astype(np.uint8)
        labels = (np.arange(size) % 10).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            content = gzip.compress(idx(array), mtime=0)
            (raw / f"{name}.gz").write_bytes(content)
            resources.append((f"{name}.gz", hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setattr(plugins.find("datasets", "mnist"), "TRAIN", 40)
    monkeypatch.setattr(plugins.find("datasets", "mnist"), "TEST", 20)
    return tmp_path


def test_the_official_format_is_read(small_mnist, tmp_path):
    prepare("mnist", small_mnist, tmp_path / "mnist.safetensors")
    arrays, header = load_arrays(tmp_path / "mnist.safetensors")
    assert arrays["train_images"].shape == (40, 1, 28, 28) and arrays["train_images"].dtype == np.uint8
    assert arrays["test_labels"].tolist() == [*range(10)] * 2
    assert header["dataset"] == "mnist"
    assert [np.sum(arrays["half"] == half) for half in (0, 1)] == [20, 20]


def test_a_read_only_data_root_will_do(small_mnist, tmp_path):
    files = sorted(path.name for path in (small_mnist / "MNIST/raw").iterdir())
    prepare("mnist", small_mnist, tmp_path / "mnist.safetensors")
    assert sorted(path.name for path in (small_mnist / "MNIST/raw").iterdir()) == files


def test_a_damaged_file_is_refused_by_name_and_checksum(small_mnist, tmp_path):
    path = small_mnist / "MNIST/raw/train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedFile, match=r"train-images-idx3-ubyte.gz: has MD5 \w+, the official file has"):
        prepare("mnist", small_mnist, tmp_path / "mnist.safetensors")
    assert not (tmp_path / "mnist.safetensors").exists()


def test_a_missing_file_that_cannot_be_downloaded_is_one_line(small_mnist, tmp_path):
    (small_mnist / "MNIST/raw/t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        InputError, match=r"t10k-labels-idx1-ubyte.gz: is missing and could not be downloaded"
    ):
        prepare("mnist", small_mnist, tmp_path / "mnist.safetensors")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("TRAIN", 41, r"found train images \(40, 1, 28, 28\) and labels \(40,\), expected"),
        ("CLASSES", 9, "found train labels 0 to 9, allowed 0 to 8"),
    ],
)
def test_sizes_and_labels_are_checked(small_mnist, tmp_path, monkeypatch, name, change, message):
    monkeypatch.setattr(plugins.find("datasets", "mnist"), name, change)
    with pytest.raises(InputError, match=message):
        prepare("mnist", small_mnist, tmp_path / "mnist.safetensors")


def test_digits_are_checked_against_their_checksum(monkeypatch):
    digits = plugins.find("datasets", "digits")
    monkeypatch.setattr(digits, "SHA256", "0" * 64)
    with pytest.raises(DamagedFile, match="scikit-learn's digits: has checksum 631cb83de3a2ab62"):
        digits.load(Path())


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_the_real_files_are_read(name, folder, tmp_path):
    if not (REAL / folder / "raw").exists():
        pytest.skip(f"no {folder} under {REAL}; set LOTTERY_DATA")
    prepare(name, REAL, tmp_path / "data.safetensors")
    arrays, _ = load_arrays(tmp_path / "data.safetensors")
    assert np.bincount(arrays["test_labels"]).sum() == 10_000
    expected = {"mnist": (5, 33.32), "fashion-mnist": (9, 72.94)}[name]
    found = arrays["train_labels"][0], arrays["mean"][0]
    assert found == (expected[0], pytest.approx(expected[1], abs=0.01))


def test_an_unreachable_mirror_is_tried_before_giving_up(tmp_path):
    dataset = SimpleNamespace(
        __name__="Nothing",
        resources=[("a.gz", "0")],
        mirrors=["http://127.0.0.1:9/", "http://127.0.0.1:9/b/"],
    )
    with pytest.raises(InputError, match=r"Nothing/raw/a\.gz"):
        load_idx(dataset, tmp_path)
