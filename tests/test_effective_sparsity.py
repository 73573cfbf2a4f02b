"""Effective sparsity against gradients of the networks themselves, and against published counts."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import REPO
from lottery import masks, plugins
from lottery.analyses.effective_sparsity import _units, effective_mask
from lottery.errors import InputError
from lottery.models import resnet
from lottery.runs import Connection, chain, family
from lottery.schemas import validate
from lottery.training.modules import to_network

LENET = {"fc1.weight": (300, 784), "fc2.weight": (100, 300), "output.weight": (10, 100)}
SHAPES = LENET | {"fc1.bias": (300,), "fc2.bias": (100,), "output.bias": (10,)}


@pytest.mark.parametrize(
    ("compression", "effective", "factor"),
    [(10, 10, 1.1), (30, 50, 1.15), (100, 1491, 1.8), (300, 20_973, 3.5)],
)
def test_random_masks_of_lenet_lose_what_others_measured(compression, effective, factor):
    """Medians of ten masks. The factors are twice the spread of such a median: over 300 masks the medians are
    10.43, 51.0, 1,140 and 25,200 times."""
    found = []
    for seed in range(10):
        mask = masks.random(LENET, round(266_200 / compression), np.random.default_rng(seed))
        on_path = masks.kept(effective_mask(mask, SHAPES, chain(*LENET)))
        found.append(266_200 / on_path if on_path else np.inf)
    assert effective / factor < np.median(found) < effective * factor


MODELS = {
    "lenet-300-100": ((1, 6, 6), {}),
    "conv": ((1, 16, 16), {"layers": 4}),
    "vgg": ((3, 16, 16), {"convs": [1, 2], "width": 6}),
    "resnet-20": ((3, 16, 16), {"blocks": 2, "width": 6}),
    "resnet": ((3, 16, 16), {"depth": 18, "stem": "cifar"}),
}


@pytest.mark.parametrize("kept", [0.3, 0.03])
@pytest.mark.parametrize("name", MODELS)
def test_a_weight_is_effective_where_a_positive_network_has_a_gradient(name, kept):
    """With all weights positive, no constants and an input of ones, the sum of the outputs follows exactly
    the weights on a path."""
    module, (shape, options) = plugins.find("models", name), MODELS[name]
    options = validate(options, {"type": "object", "properties": module.OPTIONS}, name)
    model = module.build(shape, 10, **options).double().eval()
    network = to_network(model, module.OUTPUT)
    shapes = {key: array.shape for key, array in network.tensors.items()}
    weights = {key: shapes[key] for key, role in network.roles.items() if role == "weight"}
    number = sum(map(np.prod, weights.values()))
    # a convolution's kernel as one weight: its outer places do not reach the middle of a map of one pixel
    units = {key: shape[:2] for key, shape in weights.items()}
    drawn = masks.random(units, round(kept * sum(map(np.prod, units.values()))), np.random.default_rng(1))
    mask = {key: np.broadcast_to(drawn[key][(..., *[None] * (len(shape) - 2))], shape).copy()
            for key, shape in weights.items()}  # fmt: skip
    assert masks.prunable(mask) == number
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            role = network.roles[key]
            parameter.copy_(torch.ones(()) if role == "norm" and parameter.ndim and "bias" not in key else 0)
            if key in mask:
                parameter.copy_(torch.from_numpy(mask[key]) / np.sqrt(shapes[key][1]))
    model(torch.ones(1, *shape, dtype=torch.float64)).sum().backward()
    found = effective_mask(mask, shapes, module.connections(**options))
    assert set(found) == set(mask)
    lost = 0
    for key, parameter in model.named_parameters():
        if key in mask:
            moves = ((parameter.grad * parameter).abs() > 0).numpy().reshape(*shapes[key][:2], -1).any(2)
            on_path = found[key].reshape(*shapes[key][:2], -1).any(2)
            assert np.array_equal(moves, on_path), key
            lost += np.count_nonzero(mask[key] & ~found[key])
    assert lost > 0 or kept > 0.1


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_every_weight_of_a_residual_network_is_a_connection_that_fits(depth):
    with torch.device("meta"):
        model = resnet.build((3, 32, 32), 10, depth, "imagenet")
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if p.ndim > 1}
    connections = resnet.connections(depth, "imagenet")
    assert {one.weight for one in connections} - {None} == set(shapes)
    assert _units(connections, shapes)["output"] == 10


def test_an_agent_s_two_heads_are_two_outputs(tasks):
    task = tasks["cartpole-a2c"]
    agent = family("a2c")
    network = agent.initialise(task, 1)
    shapes = {name: array.shape for name, array in network.tensors.items()}
    mask = {name: np.ones(shape, bool) for name, shape in shapes.items()}
    mask["policy.weight"][:] = False
    mask["value.weight"][:, 1:] = False
    found = effective_mask(mask, shapes, agent.connections(task))
    last = [one.weight for one in agent.connections(task)][-3]
    assert (
        found[last].sum() == shapes[last][1] and found[last][0].all()
    )  # the one unit that leads to the value
    assert found["value.bias"].all() and not found["policy.bias"].any()


def test_biases_go_with_their_unit_and_what_is_no_connection_is_refused():
    mask = {"a.weight": np.eye(2, dtype=bool), "a.bias": np.ones(2, bool)}
    mask["b.weight"] = np.array([[True, False]])
    shapes = {name: m.shape for name, m in mask.items()}
    found = effective_mask(mask, shapes, chain("a.weight", "b.weight"))
    assert {name: m.tolist() for name, m in found.items()} == {
        "a.weight": [[True, False], [False, False]],
        "a.bias": [True, False],
        "b.weight": [[True, False]],
    }
    with pytest.raises(InputError, match=r"embedding\.weight, which connects no units"):
        effective_mask(
            mask | {"embedding.weight": np.ones((5, 2), bool)}, shapes, chain("a.weight", "b.weight")
        )
    with pytest.raises(InputError, match=r"b\.weight does not fit what leads to a\.weight"):
        effective_mask(mask, shapes | {"b.weight": (1, 3)}, chain("a.weight", "b.weight"))
    with pytest.raises(InputError, match=r"no c\.weight of outputs and inputs"):
        effective_mask(mask, shapes, [Connection("c.weight", "input", "output")])


def test_no_torch_is_imported():
    code = "import sys; from lottery.analyses import effective_sparsity; from lottery import stages; "
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPO / "workflow_scripts")
