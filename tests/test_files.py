"""Masks, weights and checkpoints on disk: exact, small, whole or refused by name."""

import json
import math
import os
import signal
import stat

import numpy as np
import pytest
from lottery import masks, weights
from lottery.errors import DamagedFile
from lottery.files import replacing, replacing_folder, sealed, write_json
from lottery.logs import perform
from lottery.rewinding import Rewind
from lottery.runs import Process, Run
from lottery.stopping import STOPPED, listen
from lottery.training import checkpoints
from lottery.training.checkpoints import Checkpoint
from lottery.weights import Network

RNG = np.random.default_rng(0)
MASK = {"fc1.weight": RNG.random((30, 7)) < 0.2, "output.weight": RNG.random((10, 30)) < 0.5}
NETWORK = Network(
    {"fc1.weight": RNG.normal(size=(30, 7)).astype(np.float32), "bn.steps": np.array(7, np.int64)},
    {"fc1.weight": "weight", "bn.steps": "buffer"},
    ("fc1.weight",),
)


def test_a_mask_comes_back_as_it_was(tmp_path):
    masks.save(tmp_path / "mask.npz", MASK, level=3, status="ok")
    mask, header = masks.load(tmp_path / "mask.npz")
    assert all(np.array_equal(mask[name], MASK[name]) and mask[name].dtype == bool for name in MASK)
    assert header["level"] == 3
    assert header["kept"] == {name: int(m.sum()) for name, m in MASK.items()}


def test_a_mask_is_read_in_two_lines_of_numpy(tmp_path):
    masks.save(tmp_path / "mask.npz", MASK)
    file = np.load(tmp_path / "mask.npz")
    shape = json.loads(str(file["header"]))["shapes"]["fc1.weight"]
    bits = np.unpackbits(file["fc1.weight"], count=math.prod(shape)).astype(bool).reshape(shape)
    assert np.array_equal(bits, MASK["fc1.weight"])


def test_a_mask_takes_a_bit_a_weight_or_less(tmp_path):
    masks.save(tmp_path / "mask.npz", {"w": RNG.random(1_000_000) < 0.01})
    assert (tmp_path / "mask.npz").stat().st_size < 1_000_000 / 8 * 0.15


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        masks.save(tmp_path / f"{name}.npz", MASK, level=1)
        weights.save(tmp_path / f"{name}.safetensors", NETWORK, status="ok", reason="")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_weights_come_back_bit_for_bit(tmp_path):
    odd = NETWORK.with_tensors({**NETWORK.tensors, "fc1.weight": np.float32([[np.nan, -0.0, np.inf, 1e-45]])})
    weights.save(tmp_path / "w.safetensors", odd, status="ok")
    network, header = weights.load(tmp_path / "w.safetensors")
    assert network.tensors["fc1.weight"].tobytes() == odd.tensors["fc1.weight"].tobytes()
    assert network.tensors["bn.steps"] == 7
    assert (network.roles, network.output, header["status"]) == (NETWORK.roles, NETWORK.output, "ok")


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path):
    path.write_bytes(b"")


def _zero(path):
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("damage", [_flip, _truncate, _empty, _zero, os.remove])
@pytest.mark.parametrize("kind", ["mask.npz", "weights.safetensors"])
def test_a_damaged_file_is_refused_by_name(tmp_path, damage, kind):
    path = tmp_path / kind
    masks.save(path, MASK) if kind == "mask.npz" else weights.save(path, NETWORK)
    damage(path)
    with pytest.raises(DamagedFile, match=kind):
        (masks if kind == "mask.npz" else weights).load(path)


def test_no_flipped_byte_of_weights_goes_unnoticed(tmp_path):
    """In the header too: a status or a role that is read wrongly is as bad as a weight."""
    path = tmp_path / "weights.safetensors"
    weights.save(path, NETWORK, status="diverged", reason="")
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            network, header = weights.load(path)
        except DamagedFile:
            continue
        assert all(np.array_equal(network.tensors[name], a) for name, a in NETWORK.tensors.items())
        assert (network.roles, header["status"]) == (NETWORK.roles, "diverged")


def test_a_file_that_is_not_finished_is_not_there(tmp_path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "x.json") as part:
        part.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "m.json", {"value": math.nan})
    assert list(tmp_path.iterdir()) == []


def training(folder, **process):
    """A run whose checkpoint lies in a folder."""
    return Run(
        NETWORK, None, 1, Rewind(), folder / "checkpoint.safetensors", "test", process=Process(**process)
    )


def test_a_checkpoint_of_another_training_is_not_taken_up(tmp_path):
    run = training(tmp_path)
    Checkpoint(run, "one").save({"a": np.ones(3)}, {"step": 4})
    assert Checkpoint(run, "two").load() is None
    arrays, state = Checkpoint(run, "one").load()
    assert state == {"step": 4} and np.array_equal(arrays["a"], np.ones(3))


def test_a_damaged_checkpoint_is_dropped(tmp_path, capsys):
    run = training(tmp_path)
    Checkpoint(run, "one").save({"a": np.ones(3)}, {"step": 4})
    _flip(run.checkpoint)
    assert Checkpoint(run, "one").load() is None
    assert "starting over" in capsys.readouterr().err


def fill(folder, number):
    (folder / "deep").mkdir()
    (folder / "deep/model.bin").write_bytes(bytes([number] * 100))


def test_a_checkpoint_may_be_a_folder(tmp_path):
    run = training(tmp_path)
    for number in (1, 2):
        Checkpoint(run, "one").save_folder(lambda folder, n=number: fill(folder, n), {"step": number})
    folder, state = Checkpoint(run, "one").load_folder()
    assert state == {"step": 2} and (folder / "deep/model.bin").read_bytes() == bytes([2] * 100)
    assert Checkpoint(run, "two").load_folder() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "checkpoint.starts.json"]
    checkpoints.remove(run.checkpoint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("killed_at", ["write", "first rename", "second rename"])
def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path, killed_at, monkeypatch):
    run = training(tmp_path)
    Checkpoint(run, "one").save_folder(lambda folder: fill(folder, 1), {"step": 1})
    real, renames = os.rename, []

    class Killed(BaseException):
        pass

    def rename(*paths):
        renames.append(paths)
        if len(renames) == {"first rename": 1, "second rename": 2}.get(killed_at):
            raise Killed
        real(*paths)

    def write(folder):
        fill(folder, 2)
        if killed_at == "write":
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "rename", rename)
        Checkpoint(run, "one").save_folder(write, {"step": 2})
    folder, state = Checkpoint(run, "one").load_folder()
    assert state == {"step": 1} and (folder / "deep/model.bin").read_bytes() == bytes([1] * 100)


@pytest.mark.parametrize("damage", [_flip, _truncate, os.remove])
def test_a_damaged_folder_is_dropped(tmp_path, damage, capsys):
    run = training(tmp_path)
    Checkpoint(run, "one").save_folder(lambda folder: fill(folder, 1), {"step": 1})
    damage(tmp_path / "checkpoint/deep/model.bin")
    assert Checkpoint(run, "one").load_folder() is None
    assert "deep/model.bin" in (said := capsys.readouterr().err) and "starting over" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_saves_at_the_next_step_and_stops(tmp_path, number):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    run = training(tmp_path, stop=listen())
    checkpoint = Checkpoint(run, "one")
    assert not checkpoint.due
    os.kill(os.getpid(), number)
    assert checkpoint.due
    checkpoint.save({"a": np.ones(3)}, {"step": 4})
    with pytest.raises(SystemExit) as stop:
        checkpoints.exit_if(run.process.stop())
    assert stop.value.code == STOPPED
    assert Checkpoint(run, "one").load() is not None
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_every_file_has_the_mode_that_the_umask_says(tmp_path, umask):
    """Also those that safetensors writes, which makes its own for the owner alone."""
    before = os.umask(umask)
    try:
        weights.save(tmp_path / "w.safetensors", NETWORK)
        masks.save(tmp_path / "m.npz", MASK)
        write_json(tmp_path / "a.json", {})
        with replacing_folder(tmp_path / "sealed", {}) as folder:
            (folder / "inner").mkdir()
            for name in ("w", "inner/v"):
                weights.save_file(NETWORK.tensors, folder / f"{name}.safetensors")
    finally:
        os.umask(before)
    sealed(tmp_path / "sealed")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert len(modes) == 3 + 5
    assert all(mode == (0o777 if path.is_dir() else 0o666) & ~umask for path, mode in modes.items()), modes


def test_a_full_disk_names_the_file(tmp_path, capsys):
    def write():
        with replacing(tmp_path / "metrics.json"), open("/dev/full", "wb", buffering=0) as full:
            full.write(b"1")

    assert perform(write) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/metrics.json: No space left on device\n"
    assert not list(tmp_path.iterdir())


def test_a_full_disk_names_the_file_of_weights_too(tmp_path, capsys, monkeypatch):
    def full(*arguments, **more):
        raise weights.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(weights, "save_file", full)
    assert perform(lambda: weights.save(tmp_path / "w.safetensors", NETWORK)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path}/w.safetensors: ") and "No space left" in said


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"identity": "a"'])
def test_a_damaged_record_of_starts_costs_nothing(tmp_path, content):
    (tmp_path / "checkpoint.starts.json").write_text(content)
    assert checkpoints.starts(tmp_path / "checkpoint.safetensors") == []
