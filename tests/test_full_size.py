"""VGG19 and ResNet50 at full size: 20 steps on images of CIFAR's shape, killed, resumed, pruned, carried."""

import numpy as np
import pytest
from lottery import masks, tickets
from lottery.pruning import Pruning, prune
from lottery.rewinding import Rewind
from lottery.runs import Run
from lottery.seeds import seed_for
from lottery.tasks import supervised
from lottery.tasks.supervised import loop
from lottery.training import checkpoints
from lottery.weights import save_arrays

PRUNING = Pruning(output=False)


class Killed(Exception):  # noqa: N818
    pass


class DiesAt12(checkpoints.Checkpoint):
    due = True

    def save(self, arrays, state):
        if state["step"] == 11:
            super().save(arrays, state)
        if state["step"] == 12:
            raise Killed


def images(path, classes):
    rng = np.random.default_rng(classes)
    arrays = {}
    for part, size in (("train", 40), ("test", 20)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (size, 3, 32, 32)).astype(np.uint8)
        arrays[f"{part}_labels"] = np.arange(size, dtype=np.int64) % classes
    half = np.array([128.0] * 3, np.float32)
    save_arrays(path, arrays | {"mean": half, "std": half / 2}, {})
    return path


@pytest.mark.parametrize("model", ["vgg19", "resnet50"])
def test_twenty_steps_at_full_size(model, tasks, tmp_path, monkeypatch):
    # 40 images in batches of 4 are 10 steps an epoch; all else is as in the study
    small = {"batch_size": 4, "length": "step20", "evaluate_every": "step20", "rewind_points": ["step5"]}
    monkeypatch.setattr(supervised.settings, "training_examples", lambda task: 40)
    source, target = (tasks[f"{name}-{model}"] | small for name in ("cifar10", "cifar100"))
    data = {name: images(tmp_path / name, classes) for name, classes in (("cifar10", 10), ("cifar100", 100))}
    checkpoint = tmp_path / "checkpoint.safetensors"

    start = supervised.initialise(source, seed_for(1, "init"))
    dense = Run(start, None, 1, Rewind(), checkpoint, "dense", data["cifar10"], rewind_points=("step5",))
    trained = loop.train(source, dense)
    assert trained.metrics["steps"] == 20 and trained.status == "ok"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "Checkpoint", DiesAt12)
        with pytest.raises(Killed):
            loop.train(source, dense)
    assert checkpoint.exists()
    again = loop.train(source, dense)
    assert all(a.tobytes() == again.network.tensors[n].tobytes() for n, a in trained.network.tensors.items())
    assert again.curve == trained.curve

    rewound = trained.rewound["step5"][0]
    mask = prune(PRUNING, 1, trained.network, start, None, seed=1)
    assert masks.kept(mask) == round(masks.prunable(mask) * 0.8)
    fresh = supervised.initialise(target, seed_for(1, "fresh", 1))
    mask, ticket = tickets.ticket(
        "winning", mask, rewound, fresh, np.random.default_rng(0), fresh_output=True
    )
    carried = loop.train(target, Run(ticket, mask, 1, Rewind(), checkpoint, "carried", data["cifar100"]))
    assert carried.metrics["steps"] == 20 and carried.network.tensors[fresh.output[0]].shape[0] == 100
    for name, m in mask.items():
        assert np.all(carried.network.tensors[name][~m] == 0), name
        moved = carried.network.tensors[name][m] != rewound.tensors[name][m]
        assert moved.mean() > 0.5, name
