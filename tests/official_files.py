"""Small files in the official formats of data sets, which torchvision takes for the official ones."""

import gzip
import hashlib
import io
import pickle
import tarfile

import numpy as np
import scipy.io
import torchvision.datasets
from lottery import plugins
from PIL import Image
from torchvision.datasets import imagenet

RNG = np.random.default_rng(0)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def labels(size, classes=10):
    return (np.arange(size) % classes).astype(np.uint8)


def sizes(monkeypatch, name, train, test, **more):
    for constant, value in {"TRAIN": train, "TEST": test, **more}.items():
        monkeypatch.setattr(plugins.find("datasets", name), constant, value)


def mnist(root, monkeypatch):
    """40 + 20 examples."""
    resources = []
    raw = root / "MNIST/raw"
    raw.mkdir(parents=True)
    for part, size in (("train", 40), ("t10k", 20)):
        images = RNG.integers(0, 256, (size, 28, 28)).astype(np.uint8)
        for name, array in (
            (f"{part}-images-idx3-ubyte", images),
            (f"{part}-labels-idx1-ubyte", labels(size)),
        ):
            (raw / f"{name}.gz").write_bytes(gzip.compress(_idx(array), mtime=0))
            resources.append((f"{name}.gz", md5(raw / f"{name}.gz")))
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    sizes(monkeypatch, "mnist", 40, 20)


def _idx(array):
    """An array in the IDX format of MNIST: type byte, sizes, bytes."""
    shape = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


def cifar10(root, monkeypatch):
    """Five batches of 10 examples, and 20 to test."""
    dataset, folder = torchvision.datasets.CIFAR10, root / "cifar-10-batches-py"
    folder.mkdir()
    train = [_batch(folder / f"data_batch_{n}", "labels", 10, 10) for n in range(1, 6)]
    meta = _meta(folder / "batches.meta", "label_names", 10)
    _official(monkeypatch, dataset, train, [_batch(folder / "test_batch", "labels", 20, 10)], meta)
    _archive(root, folder, dataset, monkeypatch)
    sizes(monkeypatch, "cifar10", 50, 20)


def cifar100(root, monkeypatch, per_class=2):
    """Two training examples and one test example of each class."""
    dataset, folder = torchvision.datasets.CIFAR100, root / "cifar-100-python"
    folder.mkdir(parents=True)
    train = [_batch(folder / "train", "fine_labels", 100 * per_class, 100)]
    meta = _meta(folder / "meta", "fine_label_names", 100)
    _official(monkeypatch, dataset, train, [_batch(folder / "test", "fine_labels", 100, 100)], meta)
    _archive(root, folder, dataset, monkeypatch)
    sizes(monkeypatch, "cifar100", 100 * per_class, 100)


def _batch(path, key, size, classes):
    pixels = RNG.integers(0, 256, (size, 3072)).astype(np.uint8)
    pickled = {"data": pixels, key: labels(size, classes).tolist(), "filenames": ["x.png"] * size}
    path.write_bytes(pickle.dumps(pickled, protocol=2))
    return [path.name, md5(path)]


def _meta(path, key, classes):
    path.write_bytes(pickle.dumps({key: [str(number) for number in range(classes)]}, protocol=2))
    return {"filename": path.name, "key": key, "md5": md5(path)}


def _official(monkeypatch, dataset, train, test, meta):
    monkeypatch.setattr(dataset, "train_list", train)
    monkeypatch.setattr(dataset, "test_list", test)
    monkeypatch.setattr(dataset, "meta", meta)


def _archive(root, folder, dataset, monkeypatch):
    with tarfile.open(root / dataset.filename, "w:gz") as archive:
        archive.add(folder, folder.name)
    monkeypatch.setattr(dataset, "tgz_md5", md5(root / dataset.filename))
    monkeypatch.setattr(dataset, "url", "http://127.0.0.1:9/")


def svhn(root, monkeypatch):
    """30 + 20 examples; in the files the digit 0 has label 10."""
    (root / "svhn").mkdir()
    found = {}
    for part, size in (("train", 30), ("test", 20)):
        digits = labels(size).astype(np.int64)
        path = root / f"svhn/{part}_32x32.mat"
        content = {"X": RNG.integers(0, 256, (32, 32, 3, size)).astype(np.uint8)}
        scipy.io.savemat(path, content | {"y": np.where(digits == 0, 10, digits)[:, None]})
        found[part] = ["http://127.0.0.1:9/", path.name, md5(path)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", found)
    sizes(monkeypatch, "svhn", 30, 20)


def jpeg(size=(40, 30)):
    content = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)).save(content, "JPEG")
    return content.getvalue()


WNIDS = ["n01440764", "n01443537", "n01484850"]


def imagenet_archives(root, monkeypatch):
    """Three classes of four training images, and six to test, in the three official archives."""
    folder = root / "imagenet"
    folder.mkdir()
    synsets = np.zeros(
        3, dtype=[(n, object) for n in ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")]
    )
    for number, wnid in enumerate(WNIDS):
        synsets[number] = (number + 1, wnid, f"word{number}", "", 0)
    matrix = io.BytesIO()
    scipy.io.savemat(matrix, {"synsets": synsets})
    truth = "".join(f"{number % 3 + 1}\n" for number in range(6)).encode()
    kit = "ILSVRC2012_devkit_t12/data"
    _tar(folder / "ILSVRC2012_devkit_t12.tar.gz", "w:gz", {
        f"{kit}/meta.mat": matrix.getvalue(),
        f"{kit}/ILSVRC2012_validation_ground_truth.txt": truth,
    })  # fmt: skip
    classes = {}
    for wnid in WNIDS:
        inner = io.BytesIO()
        _tar(inner, "w", {f"{wnid}_{n}.JPEG": jpeg() for n in range(4)})
        classes[f"{wnid}.tar"] = inner.getvalue()
    _tar(folder / "ILSVRC2012_img_train.tar", "w", classes)
    images = {f"ILSVRC2012_val_{n:08d}.JPEG": jpeg() for n in range(1, 7)}
    _tar(folder / "ILSVRC2012_img_val.tar", "w", images)
    found = {part: (name, md5(folder / name)) for part, (name, _) in imagenet.ARCHIVE_META.items()}
    monkeypatch.setattr(imagenet, "ARCHIVE_META", found)
    sizes(monkeypatch, "imagenet", 12, 6, CLASSES=3)


def _tar(target, mode, files):
    where = {"fileobj": target} if isinstance(target, io.BytesIO) else {"name": target}
    with tarfile.open(mode=mode, **where) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def places365(root, monkeypatch):
    """Two classes of three training images, and four to test."""
    folder, dataset = root / "places365", torchvision.datasets.Places365
    lists = {
        "categories_places365.txt": ["/a/airfield 0", "/b/bar 1"],
        "places365_train_standard.txt": [f"/a/airfield/{n}.jpg 0" for n in range(3)]
        + [f"/b/bar/{n}.jpg 1" for n in range(3)],
        "places365_val.txt": [f"Places365_val_{n}.jpg {n % 2}" for n in range(4)],
    }
    folder.mkdir()
    for name, lines in lists.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    for name, images in (
        ("places365_train_standard.txt", "data_256_standard"),
        ("places365_val.txt", "val_256"),
    ):
        for line in lists[name]:
            path = folder / images / line.split()[0].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg())
    monkeypatch.setattr(
        dataset, "_CATEGORIES_META", ("categories_places365.txt", md5(folder / "categories_places365.txt"))
    )
    monkeypatch.setattr(dataset, "_FILE_LIST_META", {
        split: (name, md5(folder / name))
        for split, name in (("train-standard", "places365_train_standard.txt"), ("val", "places365_val.txt"))
    })  # fmt: skip
    sizes(monkeypatch, "places365", 6, 4, CLASSES=2)


def image_folder(root, name="flowers"):
    """Two classes of five training images and two test images, of different sizes."""
    for part, number in (("train", 5), ("test", 2)):
        for kind in ("rose", "tulip"):
            (root / name / part / kind).mkdir(parents=True)
            for n in range(number):
                (root / name / part / kind / f"{n}.jpg").write_bytes(jpeg((30 + n, 50 - n)))


def wikitext_2(root, monkeypatch):
    """50 + 20 + 20 lines of five words, under the names that they have in the archive."""
    module = plugins.find("datasets", "wikitext-2")
    found = {split: _text(root / f"wikitext-2/wiki.{split}.tokens", split == "train") for split in module.MD5}
    _whole(monkeypatch, module, "MD5", found)


def multi30k_english(root, monkeypatch):
    """As many lines, in the official repository's files."""
    module = plugins.find("datasets", "multi30k-english")
    found = {
        part: (name, _text(root / module.FOLDER / name, part == "train"))
        for part, (name, _) in module.FILES.items()
    }
    _whole(monkeypatch, module, "FILES", found)


def _whole(monkeypatch, module, constant, files):
    for name, value in {"TRAIN": 50 * 6, "VOCABULARY": 9, constant: files}.items():
        monkeypatch.setattr(module, name, value)


def texts(root):
    """A user's own, with as many lines, in a folder named `mine`."""
    for name in ("train", "valid", "test"):
        _text(root / f"mine/{name}.txt", name == "train")


def _text(path, training):
    """Write a text of seven kinds of words; its MD5."""
    lines = [" ".join(RNG.choice(list("abcdefg"), 5)) for _ in range(50 if training else 20)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f" {line} \n" for line in lines))
    return md5(path)
