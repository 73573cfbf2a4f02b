"""The supervised loop, in this process: same bits, rewinding, no selection by the test set, failures."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from lottery import masks, tickets
from lottery.data.images import selected, splits
from lottery.pruning import Pruning
from lottery.rewinding import Rewind
from lottery.runs import Run
from lottery.seeds import seed_for
from lottery.tasks import supervised
from lottery.tasks.supervised import in_memory, loop
from lottery.training import checkpoints, descent
from lottery.training.enforcement import masked_step
from lottery.weights import load_arrays


@pytest.fixture
def run(tiny, digits, tmp_path):
    """Make a run of a task: run(task, level=6, seed=1, ...)."""

    def make(task, level=0, seed=1, **more):
        start, mask = supervised.initialise(task, seed_for(seed, "init")), None
        if level:
            mask, start = tickets.random_ticket(Pruning(), level, start, np.random.default_rng(0))
        values = {"rewind": Rewind(), "checkpoint": tmp_path / "checkpoint.safetensors", **more}
        return Run(start=start, mask=mask, seed=seed, name="test", data=digits, **values)

    return make


def equal(a, b):
    """Whether two trainings ended with the same bits: weights, metrics, curve, rewind points."""
    networks = [(a.network, b.network)]
    networks += [(a.rewound[p][0], b.rewound[p][0]) for p in a.rewound]
    optimizers = [(a.rewound[p][1], b.rewound[p][1]) for p in a.rewound]
    pairs = [(x.tensors, y.tensors) for x, y in networks] + optimizers
    return (
        a.rewound.keys() == b.rewound.keys()
        and all(x.keys() == y.keys() and all(x[n].tobytes() == y[n].tobytes() for n in x) for x, y in pairs)
        and (a.metrics, a.curve, a.status) == (b.metrics, b.curve, b.status)
    )


NARROW_VGG = {"name": "vgg", "convs": [1, 1], "width": 4}
NARROW_RESNET = {"name": "resnet-20", "blocks": 1, "width": 4}
VARIANTS = [
    {},
    {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1.0e-4}},
    {"clip_norm": 0.5, "precision": "bfloat16"},
    {"schedule": {"warmup": 10, "milestones": ["step20", "epoch2"]}, "length": "epoch5"},
    {"image": [3, 12, 10], "augment": ["crop", "flip"], "model": NARROW_VGG},
    {"optimizer": {"name": "adam", "lr": 1.0e-3, "weight_decay": 0.01}, "model": NARROW_RESNET},
]


@pytest.mark.parametrize("changes", VARIANTS)
@pytest.mark.parametrize("level", [0, 6])
def test_killed_and_resumed_at_any_step_ends_with_the_same_bits(tiny, run, changes, level, monkeypatch):
    task = tiny(**changes)
    first = run(task, level, rewind_points=() if level else ("epoch1", "step30"))
    undisturbed = loop.train(task, first)

    class Killed(Exception):  # noqa: N818
        pass

    class SavesAt(checkpoints.Checkpoint):
        """Saves at some steps, and dies some steps after the last of them without warning."""

        steps, due = 0, True

        def save(self, arrays, state):
            if state["step"] in self.saves:
                super().save(arrays, state)
            if state["step"] == self.dies:
                raise Killed

    monkeypatch.setattr(loop, "Checkpoint", SavesAt)
    for SavesAt.saves, SavesAt.dies in (({5}, 9), ({22, 23}, 23), ({30, 31}, 40)):
        with pytest.raises(Killed):
            loop.train(task, first)
    SavesAt.saves, SavesAt.dies = {}, -1
    assert equal(loop.train(task, first), undisturbed)


def test_the_same_run_twice_gives_the_same_bits_and_another_seed_others(tiny, run):
    task = tiny()
    first, second = (loop.train(task, run(task, 3)) for _ in range(2))
    assert equal(first, second)
    assert not equal(first, loop.train(task, run(task, 3, seed=2)))


def test_pruned_weights_end_as_zero(tiny, run):
    task = tiny(optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1.0e-2})
    made = run(task, 8)
    trained = loop.train(task, made)
    for name, mask in made.mask.items():
        assert np.all(trained.network.tensors[name][~mask] == 0)
        assert np.count_nonzero(trained.network.tensors[name]) == mask.sum()


def test_batches_are_one_seeded_permutation_an_epoch():
    first, again, next_epoch, other = (
        in_memory.order(seed, epoch, 130, 60) for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert first.shape == (2, 60) and len(set(first.ravel().tolist())) == 120
    assert torch.equal(first, again)
    assert not torch.equal(first, next_epoch) and not torch.equal(first, other)


def test_derived_seeds_are_separate():
    names = ["init", "fresh", "order", "dropout", "permutation", "tie-break"]
    assert len({seed_for(seed, name) for seed in (1, 2, 3) for name in names}) == 18
    assert seed_for(1, "order", 2) != seed_for(1, "order", 12) != seed_for(11, "order", 2)


def test_the_schedule_warms_up_steps_down_and_is_taken_from_where_the_recipe_says(tiny):
    task = tiny(
        optimizer={"name": "sgd", "lr": 1.0},
        length="epoch3",
        schedule={"warmup": 4, "milestones": ["epoch1"]},
    )
    whole = descent.learning_rates(task, "start", loop.steps)
    assert len(whole) == 66
    assert whole[:5] == [0.25, 0.5, 0.75, 1.0, 1.0] and whole[21:23] == [1.0, pytest.approx(0.1)]
    assert descent.learning_rates(task, "epoch1", loop.steps) == whole[22:]
    assert descent.learning_rates(task, "end", loop.steps) == [whole[-1]] * 66


def test_rewound_with_schedule_and_optimizer_it_is_the_same_training(tiny, run):
    """Going on from epoch1 with a whole mask ends as the dense run did, bit for bit;
    with a fresh optimizer or the schedule from the start it does not."""
    task = tiny(length="epoch3", schedule={"milestones": ["epoch2"]})
    dense = loop.train(task, run(task, rewind_points=("epoch1",)))
    network, optimizer = dense.rewound["epoch1"]

    def retrained(optimizer, *rewind):
        made = dataclasses.replace(run(task), start=network, optimizer=optimizer, rewind=Rewind(*rewind))
        return loop.train(task, made)

    def same(trained):
        return all(np.array_equal(a, dense.network.tensors[n]) for n, a in trained.network.tensors.items())

    went_on = retrained(optimizer, "epoch1", "epoch1", "rewound")
    assert went_on.metrics["steps"] == 44 and same(went_on)
    assert not same(retrained({}, "epoch1", "epoch1", "fresh"))
    assert not same(retrained({}, "epoch1", "start", "fresh"))


def test_a_rewound_optimizer_holds_nothing_for_pruned_weights(tiny, run):
    task = tiny()
    dense = loop.train(task, run(task, rewind_points=("epoch1",)))
    model, _ = loop.build(task)
    optimizer = descent.make_optimizer(model, task["optimizer"])
    mask = run(task, 5).mask
    loop.load_optimizer(model, optimizer, dense.rewound["epoch1"][1], mask)
    masked_step(model, mask, optimizer, None)
    for name, parameter in model.named_parameters():
        if name in mask:
            moments = optimizer.state[parameter]["exp_avg"].numpy()
            assert np.all(moments[~mask[name]] == 0) and np.any(moments[mask[name]])


def test_early_stopping_looks_at_the_validation_split_only(tiny, run, digits):
    """What is reported early is chosen by validation loss, never by the test set."""
    curve = [
        {"step": 0, "validation_loss": 0.1, "test_accuracy": 0.1, "train_accuracy": None},
        {"step": 10, "validation_loss": 0.9, "test_accuracy": 0.99, "train_accuracy": 0.5},
        {"step": 20, "validation_loss": 0.5, "test_accuracy": 0.70, "train_accuracy": 0.8},
        {"step": 30, "validation_loss": 0.6, "test_accuracy": 0.95, "train_accuracy": 0.9},
    ]
    found = loop.early_stop(curve)
    assert (found["early_stop_step"], found["early_stop_test_accuracy"]) == (20, 0.70)
    task = tiny(validation=0)
    trained = loop.train(task, run(task))
    assert not [key for key in trained.metrics if key.startswith("early_stop")]
    assert trained.metrics["test_accuracy"] == trained.curve[-1]["test_accuracy"]  # the last, not the best


def test_an_accuracy_says_how_many_examples_it_is_a_mean_of_and_its_standard_error(tiny, run):
    task = tiny()
    metrics = loop.train(task, run(task)).metrics
    right = np.zeros(360)
    right[: round(360 * metrics["test_accuracy"])] = 1
    assert metrics["examples"] == 360
    assert metrics["standard_error"] == pytest.approx(right.std() / np.sqrt(360))


def test_validation_test_and_halves_do_not_overlap(digits):
    arrays, _ = load_arrays(digits)
    rest, held = splits(1437, 117)
    assert len(held) == 117 and sorted([*rest, *held]) == [*range(1437)]
    labels = arrays["train_labels"]
    halves = [selected({"half": half}, labels, "train") for half in "ab"]
    assert not set(halves[0]) & set(halves[1]) and len(halves[0]) == len(halves[1]) == 1437 // 2
    counts = [np.bincount(labels[half]) for half in halves]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    train = {image.tobytes() for image in arrays["train_images"]}
    assert not any(image.tobytes() in train for image in arrays["test_images"])


def test_a_loss_that_is_not_finite_is_a_recorded_result(tiny, run):
    task = tiny(optimizer={"name": "sgd", "lr": 1.0e30})
    trained = loop.train(task, run(task, rewind_points=("epoch1",)))
    assert trained.status == "diverged" and trained.reason == "loss not finite at step 11"
    assert "test_accuracy" not in trained.metrics  # the engine counts it at chance
    assert set(trained.rewound) == {"epoch1"}


def test_a_network_the_input_does_not_reach_is_a_recorded_result(tiny, run):
    task = tiny()
    made = run(task, 2)
    mask = {**made.mask, "fc2.weight": np.zeros((100, 300), bool)}
    made = dataclasses.replace(
        made, mask=mask, start=made.start.with_tensors(masks.apply(mask, made.start.tensors))
    )
    trained = loop.train(task, made)
    assert (trained.status, trained.reason) == ("collapsed", "no weights left in fc2.weight")
    assert trained.metrics == {"steps": 0}


def test_evaluation_changes_nothing(tiny, run):
    often, seldom = tiny(evaluate_every="step1"), tiny(evaluate_every="epoch2")
    a, b = (loop.train(task, run(task, 4)) for task in (often, seldom))
    assert all(np.array_equal(a.network.tensors[n], b.network.tensors[n]) for n in a.network.tensors)
    assert a.metrics["test_accuracy"] == b.metrics["test_accuracy"]
    assert math.isclose(
        np.mean([row["train_loss"] for row in a.curve[1:]]), b.curve[-1]["train_loss"], rel_tol=1e-5
    )


def test_lenet_has_the_paper_s_parameter_count(tasks):
    network = supervised.initialise(tasks["mnist-lenet"], 1)
    assert network.parameters == 266_610
    assert network.output == ("output.weight", "output.bias")
    assert set(network.roles.values()) == {"weight", "bias"}


def test_numbers_change_only_with_the_results_version(tiny, run):
    """If this fails, a change of code changed results: raise RESULTS_VERSION and set the new numbers."""
    from lottery import RESULTS_VERSION

    task = tiny()
    trained = loop.train(task, run(task, 5))
    norm = float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in trained.network.tensors.values())))
    found = (RESULTS_VERSION, norm, trained.metrics["train_loss"])
    assert found == (2, pytest.approx(10.495, rel=1e-3), pytest.approx(1.287, rel=1e-2))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_fused_step_on_images_is_the_plain_one(tiny, run, optimizer, monkeypatch):
    """Weights of images lie channels last; a fused step must not take their moments to lie otherwise."""
    task = tiny(model=NARROW_VGG, optimizer={"name": optimizer, "lr": 1.0e-3, "weight_decay": 0.01})
    fused = loop.train(task, run(task, 6))
    monkeypatch.setattr(loop, "make_optimizer", lambda model, settings: plain(model, settings))
    other = loop.train(task, run(task, 6))
    for name, values in fused.network.tensors.items():
        assert np.allclose(values, other.network.tensors[name], rtol=1e-3, atol=1e-5), name


def plain(model, settings):
    common = {
        "lr": settings["lr"],
        "weight_decay": settings["weight_decay"],
        "fused": False,
        "foreach": False,
    }
    if settings["name"] == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=settings["momentum"], **common)
    return torch.optim.Adam(model.parameters(), betas=tuple(settings["betas"]), eps=settings["eps"], **common)


def test_crops_and_flips_are_those_of_the_image_in_a_black_frame():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (50, 3, 8, 6)).astype(np.uint8))
    shifts, flips = in_memory.augmentation(1, 0, 50, ["crop", "flip"])
    assert {0, 2 * in_memory.PAD} <= set(shifts.flatten().tolist()) and 0 < flips.sum() < 50
    found = in_memory.augmented(images, shifts, flips, ["crop", "flip"])
    framed = np.pad(images.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)))
    for image, frame, (down, right), flip in zip(found.numpy(), framed, shifts.tolist(), flips, strict=True):
        crop = frame[:, down : down + 8, right : right + 6]
        assert np.array_equal(image, crop[:, :, ::-1] if flip else crop)
    assert torch.equal(in_memory.augmented(images, shifts, flips, []), images)
    only = in_memory.augmented(images, shifts, flips, ["flip"])
    assert torch.equal(only[flips], images[flips].flip(3)) and torch.equal(only[~flips], images[~flips])


def test_an_image_is_fitted_into_the_middle_of_a_black_one():
    images = torch.arange(1, 13, dtype=torch.uint8).view(2, 1, 2, 3)
    found = in_memory.fitted(images, [3, 4, 6])
    assert found.shape == (2, 3, 4, 6)
    assert torch.equal(found[:, :, 1:3, 1:4], images.expand(-1, 3, -1, -1))
    assert found.sum() == 3 * images.sum()
