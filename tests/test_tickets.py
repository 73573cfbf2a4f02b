"""What tickets, controls and transfers are made of."""

import numpy as np
import pytest
from lottery import masks, tickets
from lottery.errors import InputError
from lottery.pruning import Pruning
from lottery.weights import Network


def network(seed, classes=10):
    rng = np.random.default_rng(seed)
    shapes = {
        "fc1.weight": (30, 20),
        "fc1.bias": (30,),
        "bn.running_mean": (30,),
        "output.weight": (classes, 30),
    }
    shapes["output.bias"] = (classes,)
    roles = {"fc1.weight": "weight", "fc1.bias": "bias", "bn.running_mean": "buffer"}
    roles |= {"output.weight": "weight", "output.bias": "bias"}
    values = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return Network(values, roles, ("output.weight", "output.bias"))


REWOUND, FRESH = network(1), network(2)
MASK = {
    "fc1.weight": np.random.default_rng(3).random((30, 20)) < 0.1,
    "output.weight": np.random.default_rng(4).random((10, 30)) < 0.6,
}


def make(kind, mask=MASK, fresh=FRESH, fresh_output=False, seed=7):
    return tickets.ticket(kind, mask, REWOUND, fresh, np.random.default_rng(seed), fresh_output)


def same(a, b):
    return a.tobytes() == b.tobytes()


def test_a_winning_ticket_is_the_mask_on_the_rewind_point_bit_for_bit():
    mask, start = make("winning")
    for name, values in start.tensors.items():
        if name in MASK:
            assert same(values[MASK[name]], REWOUND.tensors[name][MASK[name]])
            assert np.all(values[~MASK[name]] == 0) and not np.any(np.signbit(values[~MASK[name]]))
        else:
            assert same(values, REWOUND.tensors[name])  # biases and buffers too
    assert all(np.array_equal(mask[name], MASK[name]) for name in MASK)


@pytest.mark.parametrize("kind", tickets.CONTROLS)
def test_a_control_has_as_many_weights_as_its_winning_ticket(kind):
    mask, start = make(kind)
    assert masks.kept(mask) == masks.kept(MASK)
    assert sum(np.count_nonzero(start.tensors[name]) for name in MASK) == masks.kept(MASK)
    if not kind.startswith("global"):
        assert all(mask[name].sum() == MASK[name].sum() for name in MASK)


@pytest.mark.parametrize("kind", tickets.CONTROLS)
def test_a_control_permutes_the_mask_it_says_and_takes_the_weights_it_says(kind):
    """Against a shuffle that changes nothing, and a shuffle of trained weights."""
    mask, start = make(kind)
    permutation, origin = kind.split("-")
    moved = any(not np.array_equal(mask[name], MASK[name]) for name in MASK)
    assert moved == (permutation != "kept")
    counts = {name: int(m.sum()) for name, m in mask.items()}
    assert (counts != {n: int(m.sum()) for n, m in MASK.items()}) == (permutation == "global")
    source = REWOUND if origin == "rewound" else FRESH
    for name, m in mask.items():
        factor = np.float32(np.sqrt(m.size / m.sum())) if origin == "rescaled" else np.float32(1)
        assert same(start.tensors[name][m], source.tensors[name][m] * factor)
    assert same(start.tensors["bn.running_mean"], source.tensors["bn.running_mean"])


def test_a_permutation_is_drawn_by_its_generator():
    first, again, other = (make("layer-fresh", seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first["fc1.weight"], again["fc1.weight"])
    assert not np.array_equal(first["fc1.weight"], other["fc1.weight"])


@pytest.mark.parametrize("pruning", [Pruning(), Pruning(output=False), Pruning(roles=("weight", "bias"))])
def test_the_random_ticket_has_the_level_s_count(pruning):
    """Only prunable weights are permuted, so a protected layer stays whole."""
    mask, start = tickets.random_ticket(pruning, 6, FRESH, np.random.default_rng(0))
    size = sum(FRESH.tensors[name].size for name in mask)
    assert masks.kept(mask) == round(size * 0.8**6)
    assert ("output.weight" in mask) == pruning.output
    assert all(same(start.tensors[n][mask[n]], FRESH.tensors[n][mask[n]]) for n in mask)
    per_layer = [m.mean() for m in mask.values() if m.size > 100]
    assert np.allclose(per_layer, 0.8**6, atol=0.06)


def test_a_transfer_takes_all_but_the_output_layer_from_the_source():
    target = network(5, classes=4)
    inner = {"fc1.weight": MASK["fc1.weight"]}
    mask, start = make("winning", inner, target, fresh_output=True)
    assert same(
        start.tensors["fc1.weight"][mask["fc1.weight"]], REWOUND.tensors["fc1.weight"][mask["fc1.weight"]]
    )
    assert same(start.tensors["bn.running_mean"], REWOUND.tensors["bn.running_mean"])
    assert same(start.tensors["output.weight"], target.tensors["output.weight"])
    assert same(start.tensors["output.bias"], target.tensors["output.bias"])
    assert set(mask) == {"fc1.weight"}


@pytest.mark.parametrize(
    ("kind", "transfer", "fresh"),
    [
        ("winning", False, False),
        ("winning", True, True),  # as the papers carry tickets
        ("kept-output", True, False),
        ("fresh-output", False, True),
        ("kept-fresh", True, True),
        ("layer-rewound", False, False),
    ],
)
def test_a_ticket_says_what_of_the_output_layer_it_carries(kind, transfer, fresh):
    assert tickets.has_fresh_output(kind, transfer) == fresh


def test_a_ticket_that_keeps_its_output_layer_is_the_winning_one_and_one_that_does_not_has_a_fresh_one():
    whole, start = make("kept-output")
    winning, expected = make("winning")
    assert all(np.array_equal(whole[name], winning[name]) for name in winning)
    assert all(same(start.tensors[name], a) for name, a in expected.tensors.items())
    mask, start = make("fresh-output", {"fc1.weight": MASK["fc1.weight"]}, fresh_output=True)
    assert same(start.tensors["output.weight"], FRESH.tensors["output.weight"])
    assert same(start.tensors["fc1.weight"], expected.tensors["fc1.weight"])
    assert set(mask) == {"fc1.weight"}


@pytest.mark.parametrize("carried", [False, True])
def test_the_dense_network_rewound_is_whole_and_carried_as_tickets_are(carried):
    target = network(5, classes=4)
    mask, start = make("dense-rewound", {}, target, tickets.has_fresh_output("dense-rewound", carried))
    assert not mask and start.tensors.keys() == REWOUND.tensors.keys()
    for name, values in start.tensors.items():
        assert same(values, (target if carried and name in target.output else REWOUND).tensors[name])


def test_a_fresh_transfer_takes_nothing_but_the_mask_from_the_source():
    target = network(5, classes=4)
    mask, start = make("kept-fresh", {"fc1.weight": MASK["fc1.weight"]}, target, fresh_output=True)
    assert same(
        start.tensors["fc1.weight"][mask["fc1.weight"]], target.tensors["fc1.weight"][mask["fc1.weight"]]
    )


def test_a_pruned_output_layer_is_not_transferred_but_pruned_at_random_to_the_same_fraction():
    """The other reading of docs/one-ticket.md, decision 7."""
    target = network(5, classes=4)
    mask, start = make("winning", MASK, target, fresh_output=True)
    assert np.array_equal(mask["fc1.weight"], MASK["fc1.weight"])
    assert mask["output.weight"].sum() == round(MASK["output.weight"].sum() * 120 / 300)
    kept = mask["output.weight"]
    assert same(start.tensors["output.weight"][kept], target.tensors["output.weight"][kept])
    assert np.all(start.tensors["output.weight"][~kept] == 0)


def test_rescaled_weights_vary_as_those_of_the_whole_layer():
    """With a fraction f of the weights left, their variance is 1/f times that of fresh ones."""
    _, start = make("layer-rescaled")
    whole, left = FRESH.tensors["fc1.weight"], start.tensors["fc1.weight"]
    assert np.square(left).sum() == pytest.approx(np.square(whole).sum(), rel=0.25)
    assert same(start.tensors["output.bias"], FRESH.tensors["output.bias"])


def test_networks_that_differ_beyond_the_output_layer_are_refused():
    target = network(5)
    target.tensors["fc1.weight"] = np.zeros((31, 20), np.float32)
    with pytest.raises(InputError, match=r"fc1.weight is \(30, 20\) in the source, \(31, 20\) in the target"):
        make("winning", {"fc1.weight": MASK["fc1.weight"]}, target, fresh_output=True)


def test_both_fractions_are_reported():
    found = tickets.fractions({"fc1.weight": np.arange(600).reshape(30, 20) < 60}, REWOUND)
    assert found["fraction_pruned"] == 0.9
    assert found["fraction_pruned_of_all"] == 540 / (600 + 30 + 300 + 10)  # buffers are no parameters
