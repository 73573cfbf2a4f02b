"""Conv-2, Conv-4, Conv-6 (Frankle & Carbin 2019, figure 2): pairs of convolutions and three linear layers."""

from typing import TYPE_CHECKING

from ..runs import Connection, chain
from . import check_poolings

if TYPE_CHECKING:
    from torch import nn

OUTPUT = "output"
OPTIONS = {"layers": {"enum": [2, 4, 6], "default": 2}}


def depends_on(input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """What of the input's shape the parameters depend on: all of it, through the first linear layer."""
    return input_shape


def check(input_shape: tuple[int, int, int], batch_size: int, layers: int) -> None:
    """Raise InputError for images that are smaller than the poolings."""
    check_poolings(input_shape, layers // 2)


def connections(layers: int) -> list[Connection]:
    convolutions = [f"conv{number + 1}.weight" for number in range(layers)]
    return chain(*convolutions, "fc1.weight", "fc2.weight", f"{OUTPUT}.weight")


def build(input_shape: tuple[int, int, int], classes: int, layers: int) -> "nn.Module":
    """[B, C, H, W] -> [B, classes]. Glorot normal weights and zero biases, as in the paper."""
    from torch import nn

    channels, height, width = input_shape
    model = nn.Sequential()
    for pair in range(layers // 2):
        for half in (1, 2):
            model.add_module(f"conv{2 * pair + half}", nn.Conv2d(channels, 64 * 2**pair, 3, padding=1))
            model.add_module(f"relu{2 * pair + half}", nn.ReLU())
            channels = 64 * 2**pair
        model.add_module(f"pool{pair + 1}", nn.MaxPool2d(2))
        height, width = height // 2, width // 2
    model.add_module("flatten", nn.Flatten())
    model.add_module("fc1", nn.Linear(channels * height * width, 256))
    model.add_module("relu", nn.ReLU())
    model.add_module("fc2", nn.Linear(256, 256))
    model.add_module("relu_", nn.ReLU())
    model.add_module(OUTPUT, nn.Linear(256, classes))
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return model
