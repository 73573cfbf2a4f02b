"""A folder of images that is changed after it was prepared: what Snakemake itself then plans and runs."""

import json
import os
import shutil

import official_files
import pytest
from conftest import TINY
from lottery import data
from lottery.datasets import image_folder

ENTRY = {"of": "image-folder", "shape": [3, 32, 32], "classes": 2, "train": 10, "test": 4}
SAID = (
    "data set flowers: its files under data/flowers have changed since it was prepared; it is prepared again"
)
ALL = {"prepare_data": 1, "chance": 1, "train_dense": 1, "prune": 3, "train_level": 2, "train_random": 2}
ALL |= {"tables": 1, "figure": 1}


@pytest.fixture(params=[{}, {"streamed": True}], ids=["in memory", "streamed"])
def prepared(workspace, request, monkeypatch):
    """A workspace whose study trains on a folder of images, and has run."""
    monkeypatch.setenv("LOTTERY_DATA", "data")
    official_files.image_folder(workspace.path / "data")
    (workspace.path / "config/datasets/own.yaml").write_text(json.dumps({"flowers": ENTRY | request.param}))
    model = {"name": "vgg", "convs": [1, 1], "width": 4}
    changed = {
        "dataset": "flowers",
        "validation": 0,
        "model": model,
        "batch_size": 5,
        "evaluate_every": "epoch1",
    }
    workspace.tasks = {"tiny": TINY | changed}
    workspace.study["seeds"] = [1]
    workspace.write()
    workspace.snakemake()
    assert workspace.planned() == {}
    return workspace


def relabelled(folder):
    """Two images change their places."""
    a, b = folder / "train/rose/0.jpg", folder / "train/tulip/0.jpg"
    a.rename(folder / "x")
    b.rename(a)
    (folder / "x").rename(b)


def replaced(folder):
    """By another image of the same size and, as far as seconds go, of the same age."""
    path = folder / "test/rose/0.jpg"
    said, content = path.stat(), bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns + 1))


def renamed(folder):
    (folder / "train/rose/0.jpg").rename(folder / "train/rose/9.jpg")


def test_changed_images_are_prepared_and_trained_on_again_and_others_are_not(prepared):
    folder, elsewhere = prepared.path / "data/flowers", prepared.path / "elsewhere"
    # the same images: files beside them, another machine that has results only, an empty data root
    (folder / "notes.txt").write_text("mine")
    (folder / "train/rose/.DS_Store").write_text("somebody's")
    assert prepared.planned() == {}
    (prepared.path / "data").rename(elsewhere)
    assert prepared.planned() == {}
    folder.mkdir(parents=True)
    assert prepared.planned() == {}
    folder.rmdir()
    (prepared.path / "data").rmdir()

    for change in (relabelled, renamed, replaced):
        shutil.copytree(elsewhere, prepared.path / "data")  # with its times
        change(folder)
        planned = prepared.planned()
        assert {rule: number for rule, number in planned.items() if rule in ALL} == ALL, change
        assert "initialise" not in planned  # which is not made from data
        if change is not replaced:
            shutil.rmtree(prepared.path / "data")
    said = prepared.snakemake("--quiet", "rules")
    assert (said.stdout + said.stderr).count(SAID) == 1
    assert prepared.planned() == {}

    (folder / "train/rose/0.jpg").unlink()
    said = prepared.snakemake(check=False)
    assert said.returncode == 1 and SAID in said.stderr
    log = (prepared.path / "results/logs/data/flowers.log").read_text()
    assert log.startswith("error: data set flowers: train: found images (9, 3, 32, 32) and labels (9,)")
    assert log.count("\n") == 1


def test_a_record_is_of_names_sizes_and_times(tmp_path):
    official_files.image_folder(tmp_path)
    folder = tmp_path / "flowers"
    first = image_folder.record(folder)
    assert first is not None and image_folder.record(folder) == first
    shutil.copytree(folder, tmp_path / "copy")  # with its times
    assert image_folder.record(tmp_path / "copy") == first
    (folder / "train/rose/nothing.jpg").symlink_to(tmp_path / "nowhere")
    assert image_folder.record(folder) != first
    os.rename(folder / "train/rose/0.jpg", os.fsencode(folder / "train/rose") + b"/\xe9.jpg")
    assert image_folder.record(folder) != first
    assert image_folder.record(tmp_path / "nowhere") is None


def test_a_damaged_record_is_as_good_as_none(tmp_path):
    official_files.image_folder(tmp_path)
    entry = {"name": "flowers", **ENTRY}
    (tmp_path / "kept.json").write_text("{")
    now, changed = data.record_of(entry, tmp_path, tmp_path / "kept.json")
    assert now == image_folder.record(tmp_path / "flowers") and not changed
    assert data.record_of({"name": "digits", "of": "digits"}, tmp_path, tmp_path / "kept.json") == (
        None,
        False,
    )
