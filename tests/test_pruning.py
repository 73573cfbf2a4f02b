"""Exact counts, nested masks, seeded ties."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import REPO
from hypothesis import given, settings
from hypothesis import strategies as st
from lottery import addresses, masks
from lottery.errors import InputError
from lottery.pruning import Pruning, keep_count, keep_largest, movement, pools, prunable_tensors, prune
from lottery.weights import Network

ROLES = {"conv.weight": "weight", "conv.bias": "bias", "bn.weight": "norm", "bn.bias": "norm"}
ROLES |= {"bn.running_mean": "buffer", "embed.weight": "embedding", "output.weight": "weight"}


def network(seed=0, ties=False):
    rng = np.random.default_rng(seed)
    shapes = {"conv.weight": (8, 3, 3, 3), "conv.bias": (8,), "bn.weight": (8,), "bn.bias": (8,)}
    shapes |= {"bn.running_mean": (8,), "embed.weight": (11, 7), "output.weight": (10, 8)}
    values = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    if ties:
        values = {name: np.round(a) for name, a in values.items()}
    return Network(values, ROLES, ("output.weight",))


def lineage(pruning, levels, ties=False):
    """Masks of all levels, each pruned from other trained weights; pruned weights are 0 as after training."""
    mask, found = None, []
    for level in range(1, levels + 1):
        trained = network(seed=level if pruning.iterative else 0, ties=ties)
        if mask is not None and pruning.iterative:
            trained = trained.with_tensors(masks.apply(mask, trained.tensors))
        mask = prune(pruning, level, trained, network(99), mask if pruning.iterative else None, seed=5)
        found.append(mask)
    return found


def test_counts_come_from_n_not_from_repeated_rounding():
    assert [keep_count(7, 0.5, k) for k in range(5)] == [7, 4, 2, 1, 0]
    assert keep_count(20_024_000, 0.2, 30) == 24_789
    assert keep_count(10, 0.2, 1) == 8  # 10 * (1 - 0.2) in floating point is 8.0 by luck; 0.3 is not
    assert keep_count(10**15, 0.3, 1) == 7 * 10**14


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("iterative", [False, True])
@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("roles", [("weight",), ("weight", "bias"), ("weight", "embedding")])
def test_exact_counts_and_nested_masks(scope, iterative, ties, roles):
    pruning = Pruning(scope=scope, rate=0.2, roles=roles, iterative=iterative)
    before = None
    for level, mask in enumerate(lineage(pruning, 12, ties), 1):
        for names, keep in pools(network(), pruning, level):
            assert sum(np.count_nonzero(mask[name]) for name in names) == keep
        if before is not None:
            assert all(not np.any(mask[name] & ~before[name]) for name in mask)
        before = mask


def test_the_largest_are_kept():
    trained = network()
    mask = prune(Pruning(rate=0.5), 1, trained, network(99), None, seed=0)
    magnitudes = np.concatenate([np.abs(trained.tensors[name]).ravel() for name in mask])
    kept = np.concatenate([m.ravel() for m in mask.values()])
    assert magnitudes[kept].min() >= magnitudes[~kept].max()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=60),
    st.integers(0, 60),
    st.integers(0, 10),
)
def test_keep_largest_is_exact_under_any_ties(values, keep, seed):
    scores = {"a": np.array(values[::2], np.float32), "b": np.array(values[1::2], np.float32)}
    alive = {name: np.ones(a.shape, bool) for name, a in scores.items()}
    mask = keep_largest(scores.__getitem__, alive, keep, np.random.default_rng(seed))
    kept = np.concatenate([scores[n][mask[n]] for n in scores])
    assert len(kept) == min(keep, len(values))
    assert sorted(kept) == sorted(values)[len(values) - len(kept) :]


def test_ties_fall_by_the_seed():
    flat = {"a": np.zeros(1000, np.float32)}
    alive = {"a": np.ones(1000, bool)}

    def draw(seed):
        return keep_largest(flat.__getitem__, alive, 500, np.random.default_rng(seed))["a"]

    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))
    assert 150 < np.count_nonzero(draw(1)[:500]) < 350  # not simply the first ones


def test_what_is_prunable_is_named_by_the_recipe():
    everything = Pruning(roles=("weight", "bias", "embedding"))
    assert prunable_tensors(network(), Pruning()) == ["conv.weight", "output.weight"]
    assert prunable_tensors(network(), Pruning(output=False)) == ["conv.weight"]
    assert prunable_tensors(network(), Pruning(exclude=("conv*",))) == ["output.weight"]
    assert not {"bn.weight", "bn.bias", "bn.running_mean"} & set(prunable_tensors(network(), everything))


def test_an_excluded_layer_does_not_change_the_quota():
    """A quota over all masks over-prunes the rest."""
    pruning = Pruning(output=False)
    for level, mask in enumerate(lineage(pruning, 20), 1):
        assert set(mask) == {"conv.weight"}
        assert masks.kept(mask) == keep_count(216, 0.2, level)


def test_layers_have_their_own_rates():
    """Frankle & Carbin 2019, section 2: connections to the outputs are pruned at half the rate."""
    pruning = Pruning(scope="layerwise", rate=0.2, rates={"output": 0.1})
    mask = lineage(pruning, 3)[-1]
    assert np.count_nonzero(mask["conv.weight"]) == keep_count(216, 0.2, 3)
    assert np.count_nonzero(mask["output.weight"]) == keep_count(80, 0.1, 3)


@pytest.mark.parametrize("field", [{"exclude": ("cnv*",)}, {"scope": "layerwise", "rates": {"cnv*": 0.1}}])
def test_a_pattern_that_matches_nothing_is_refused(field):
    with pytest.raises(InputError, match=r"'cnv\*'.*matches no.*conv.weight"):
        prune(Pruning(**field), 1, network(), network(), None, seed=0)


def test_a_recipe_without_prunable_tensors_is_refused():
    with pytest.raises(InputError, match="nothing is prunable"):
        prune(Pruning(exclude=("*",)), 1, network(), network(), None, seed=0)


def test_values_that_are_not_finite_rank_lowest():
    trained = network()
    trained.tensors["conv.weight"][:4] = np.nan
    mask = prune(Pruning(rate=0.2), 1, trained, network(), None, seed=0)
    assert masks.kept(mask) == keep_count(296, 0.2, 1)
    assert np.count_nonzero(mask["conv.weight"][:4]) < 108 // 2


def test_both_signs_are_pruned_alike():
    """A comparison without the absolute value freezes or prunes all negative weights."""
    trained = network()
    mask = prune(Pruning(rate=0.5), 1, trained, network(99), None, seed=0)
    kept = np.concatenate([trained.tensors[name][m] for name, m in mask.items()])
    assert 0.3 < np.mean(kept < 0) < 0.7


def test_movement_compares_kept_and_pruned():
    trained = Network({"w": np.array([3.0, 1.0, 0.5], np.float32)}, {"w": "weight"}, ())
    start = trained.with_tensors({"w": np.array([1.0, 1.0, 1.0], np.float32)})
    found = movement(trained, start, None, {"w": np.array([True, False, False])})
    assert found == {"kept": 2.0, "pruned": 0.25}


def test_a_level_that_prunes_nothing_away_moves_nothing():
    trained = network()
    mask = {"conv.weight": np.ones((8, 3, 3, 3), bool)}
    assert movement(trained, trained, mask, mask) == {"kept": 0.0, "pruned": None}


def test_pruning_imports_no_torch():
    code = "import sys, lottery.stages; print([m for m in ('torch', 'pandas', 'scipy') if m in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO / "workflow_scripts",
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("point", "level", "began"),
    [
        ("final", 1, ("dense/t/seed1/init.safetensors", None)),
        ("final", 2, ("dense/t/seed1/weights.safetensors", None)),
        ("final", 3, ("lineage/t/r/seed1/level01/weights.safetensors", None)),
        ("epoch1", 1, ("dense/t/seed1/init.safetensors", None)),
        ("epoch1", 2, ("dense/t/seed1/rewind.safetensors", "epoch1")),
        ("init", 3, ("dense/t/seed1/init.safetensors", None)),
    ],
)
def test_a_training_began_with_what_the_level_before_left(point, level, began):
    entry = {"criterion": "magnitude", "iterative": True, "rewind": {"weights": point}}
    made = addresses.origin("t", "r", entry, 1, level)
    assert made.began == addresses.Place(f"results/{began[0]}", began[1])
    if level > 1:
        assert made.began == addresses.origin("t", "r", entry, 1, level - 1).start
    once = addresses.origin("t", "r", {**entry, "iterative": False}, 1, level)
    assert once.began == addresses.Place("results/dense/t/seed1/init.safetensors")
