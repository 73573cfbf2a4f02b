"""What is only a record, commit, host, device, memory or versions, never costs a result."""

import json
import os
import platform
import resource

import pytest
from lottery import provenance


def test_a_training_without_git_on_the_path(workspace):
    """On the machine of a user who unpacked the project: it runs to its end, and the commit is not known."""
    empty = workspace.path / "bin"
    empty.mkdir()
    for name in ("sh", "bash"):
        (empty / name).symlink_to(next(p for p in (f"/bin/{name}", f"/usr/bin/{name}") if os.path.exists(p)))
    run = "results/dense/tiny/seed1"
    workspace.snakemake("--", f"{run}/metrics.json", env={"PATH": str(empty)})
    assert json.loads((workspace.path / run / "metrics.json").read_text())["status"] == "ok"
    found = json.loads((workspace.path / run / "provenance.json").read_text())
    assert found["versions"]["commit"] == "unknown" and found["versions"]["torch"]
    assert found["host"] == platform.node() and found["peak_memory_bytes"] > 0


def fails(*arguments, **more):
    raise RuntimeError("the driver is gone")


@pytest.mark.parametrize(
    ("owner", "name", "key"),
    [
        (platform, "node", "host"),
        (platform, "python_version", "versions"),
        (resource, "getrusage", "peak_memory_bytes"),
        (provenance, "version", "versions"),
        (provenance.subprocess, "run", "versions"),
    ],
)
def test_each_record_that_fails_is_unknown_and_the_others_are_there(monkeypatch, capsys, owner, name, key):
    whole = provenance.provenance(1.5)
    provenance.versions.cache_clear()
    monkeypatch.setattr(owner, name, fails)
    found = provenance.provenance(1.5)
    provenance.versions.cache_clear()
    assert found.keys() == whole.keys() and found["seconds"] == 1.5
    assert "unknown" in json.dumps(found[key])
    assert [k for k in found if found[k] != whole[k] and k != "peak_memory_bytes"] in ([key], [])
    assert "the driver is gone" in capsys.readouterr().err


def test_a_device_that_fails_is_unknown(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", fails)
    assert provenance.provenance(1.5)["device"] == "unknown"
