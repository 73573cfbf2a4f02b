"""LeNet-300-100 (Frankle & Carbin 2019, figure 2): two hidden layers, 266,610 parameters on MNIST."""

import math
from typing import TYPE_CHECKING

from ..runs import Connection, chain

if TYPE_CHECKING:
    from torch import nn

OUTPUT = "output"
OPTIONS: dict[str, dict] = {}


def depends_on(input_shape: tuple[int, int, int]) -> int:
    """What of the input's shape the parameters depend on: the number of pixels."""
    return math.prod(input_shape)


def connections() -> list[Connection]:
    return chain("fc1.weight", "fc2.weight", f"{OUTPUT}.weight")


def build(input_shape: tuple[int, int, int], classes: int) -> "nn.Module":
    """[B, C, H, W] -> [B, classes]. Glorot normal weights and zero biases, as in the paper."""
    from torch import nn

    model = nn.Sequential(nn.Flatten())
    model.add_module("fc1", nn.Linear(math.prod(input_shape), 300))
    model.add_module("relu1", nn.ReLU())
    model.add_module("fc2", nn.Linear(300, 100))
    model.add_module("relu2", nn.ReLU())
    model.add_module(OUTPUT, nn.Linear(100, classes))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model
