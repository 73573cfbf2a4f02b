"""Networks have the parameter counts of the papers, and what is told of them is so."""

import pytest
import torch
from lottery import plugins
from lottery.errors import InputError
from lottery.pruning import Pruning, prunable_tensors
from lottery.training.modules import to_network

MODELS = [  # model, options, shape, classes, parameters
    ("vgg", {}, (3, 32, 32), 10, 20_040_522),
    ("vgg", {"convs": [2, 2, 4, 5, 4]}, (3, 32, 32), 10, 22_401_354),
    ("resnet", {}, (3, 224, 224), 1000, 25_557_032),
    ("resnet", {"stem": "cifar"}, (3, 32, 32), 10, 23_520_842),
    ("resnet", {"depth": 18}, (3, 224, 224), 1000, 11_689_512),
    ("resnet-20", {}, (3, 32, 32), 10, 272_474),
    ("conv", {"layers": 2}, (3, 32, 32), 10, 4_301_642),
    ("conv", {"layers": 4}, (3, 32, 32), 10, 2_425_930),
    ("conv", {"layers": 6}, (3, 32, 32), 10, 2_262_602),
    ("lenet-300-100", {}, (1, 28, 28), 10, 266_610),
]


def built(name, options, shape, classes):
    model = plugins.find("models", name)
    defaults = {key: schema["default"] for key, schema in model.OPTIONS.items()}
    torch.manual_seed(1)
    module = model.build(shape, classes, **defaults | options)
    return module, to_network(module, model.OUTPUT)


@pytest.mark.parametrize(("name", "options", "shape", "classes", "parameters"), MODELS)
def test_parameters_are_those_of_the_paper(name, options, shape, classes, parameters):
    _, network = built(name, options, shape, classes)
    assert network.parameters == parameters
    assert {tensor.split(".")[0] for tensor in network.output} == {plugins.find("models", name).OUTPUT}


@pytest.mark.parametrize(("name", "options", "shape", "classes"), [entry[:4] for entry in MODELS])
def test_only_what_a_model_says_depends_on_the_image(name, options, shape, classes):
    """Networks for another size and number of classes differ in the output layer at most, if it says so."""
    model = plugins.find("models", name)
    other = (shape[0], shape[1] + 32, shape[2] + 32)
    networks = [built(name, options, s, c)[1] for s, c in ((shape, classes), (other, classes + 1))]
    shapes = [{n: a.shape for n, a in x.tensors.items() if n not in x.output} for x in networks]
    assert (shapes[0] == shapes[1]) == (model.depends_on(shape) == model.depends_on(other))


def test_the_first_layer_of_vgg19_has_1792_parameters():
    """With a bias, though batch normalisation follows (docs/one-ticket.md, decision 2)."""
    _, network = built("vgg", {}, (3, 32, 32), 10)
    first = [network.tensors[f"features.0.{kind}"] for kind in ("weight", "bias")]
    assert sum(tensor.size for tensor in first) == 1792 and not first[1].any()
    weights = prunable_tensors(network, Pruning(output=False))
    assert len(weights) == 16 and sum(network.tensors[name].size for name in weights) == 20_018_880


@pytest.mark.parametrize("name", ["vgg", "conv"])
def test_weights_are_xavier_normal(name):
    module, _ = built(name, {}, (3, 32, 32), 10)
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            fan = layer.weight[0].numel() + layer.weight[:, 0].numel()
            assert layer.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [("vgg", {"width": 4}, (1, 32, 32)), ("resnet", {"depth": 18, "stem": "cifar"}, (3, 32, 32)),
     ("resnet-20", {"width": 4}, (3, 28, 28)), ("conv", {"layers": 6}, (1, 28, 28))],
)  # fmt: skip
def test_every_weight_has_a_part_in_the_output(name, options, shape):
    module, network = built(name, options, shape, 7)
    images = torch.rand(4, *shape)
    logits = module(images)
    assert logits.shape == (4, 7)
    logits.square().sum().backward()
    for tensor, parameter in module.named_parameters():
        assert network.roles[tensor] == "bias" or parameter.grad.abs().sum() > 0, tensor


SIZED = [("lenet-300-100", {})]
SIZED += [("conv", {"layers": layers}) for layers in (2, 4, 6)]
SIZED += [("vgg", {"width": 2, "convs": convs}) for convs in ([1], [1, 1], [2, 1, 1], [1, 1, 1, 1, 1])]
SIZED += [("resnet-20", {"width": 2, "blocks": 1})]
SIZED += [("resnet", {"depth": 18, "stem": stem}) for stem in ("imagenet", "cifar")]


@pytest.mark.parametrize(("name", "options"), SIZED, ids=[f"{name}-{options}" for name, options in SIZED])
def test_a_model_says_without_torch_which_images_and_batches_it_can_take(name, options):
    """As torch itself finds when it builds the model and trains on them."""
    module = plugins.find("models", name)
    for height, width, batch in [
        (1, 1, 1), (1, 1, 2), (1, 5, 1), (2, 2, 1), (2, 3, 2), (3, 3, 1), (4, 4, 1), (4, 7, 2), (5, 4, 1),
        (7, 8, 2), (8, 8, 1), (8, 9, 1), (9, 9, 1), (15, 16, 2), (16, 16, 1), (17, 15, 1),
        (32, 32, 1), (33, 32, 1),
    ]:  # fmt: skip
        try:
            module.build((1, height, width), 3, **options)(torch.zeros(batch, 1, height, width))
            works = True
        except (RuntimeError, ValueError, ZeroDivisionError):
            works = False
        try:
            getattr(module, "check", lambda *_, **__: None)((1, height, width), batch, **options)
            allowed = True
        except InputError:
            allowed = False
        assert works == allowed, (height, width, batch)
