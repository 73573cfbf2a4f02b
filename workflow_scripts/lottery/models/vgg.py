"""VGG with batch normalisation, one linear layer (Morcos et al. 2019, appendix A).

VGG19 has 20,040,522 parameters at 10 classes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..runs import Connection, chain
from . import check_normalised, check_poolings

if TYPE_CHECKING:
    from torch import nn

OUTPUT = "output"
OPTIONS = {
    "convs": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "default": [2, 2, 4, 4, 4],
    },
    "width": {"type": "integer", "minimum": 1, "default": 64},
}


def depends_on(input_shape: tuple[int, int, int]) -> int:
    """What of the input's shape the parameters depend on: the number of channels."""
    return input_shape[0]


def check(input_shape: tuple[int, int, int], batch_size: int, convs: Sequence[int], width: int) -> None:
    """Raise InputError for images that are smaller than the poolings, or one alone at the last stage."""
    _, height, width = input_shape
    check_poolings(input_shape, len(convs) - 1)
    check_normalised((height >> len(convs) - 1, width >> len(convs) - 1), batch_size)


def connections(convs: Sequence[int], width: int) -> list[Connection]:
    """Of torchvision's list of layers: convolution, normalisation, ReLU; a maximum after each stage."""
    found, place = [], 0
    for convolutions in convs:
        found += [f"features.{place + 3 * number}.weight" for number in range(convolutions)]
        place += 3 * convolutions + 1
    return chain(*found, f"{OUTPUT}.weight")


def build(input_shape: tuple[int, int, int], classes: int, convs: Sequence[int], width: int) -> "nn.Module":
    """[B, C, H, W] -> [B, classes]. Xavier normal weights and zero biases.

    convs: convolutions of each stage; a 2x2 maximum follows each but the last, the global average that one.
        The appendix of the paper lists (2, 2, 4, 5, 4): docs/one-ticket.md, decision 1
    width: channels of the first stage; they double from stage to stage up to the fourth
    """
    from torch import nn
    from torchvision.models.vgg import make_layers

    stages = [[width * 2 ** min(stage, 3)] * number for stage, number in enumerate(convs)]
    layers: list[str | int] = [layer for stage in stages for layer in (*stage, "M")][:-1]
    features = make_layers(layers, batch_norm=True)
    if input_shape[0] != 3:
        features[0] = nn.Conv2d(input_shape[0], width, kernel_size=3, padding=1)
    model = nn.Sequential()
    model.add_module("features", features)
    model.add_module("average", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module(OUTPUT, nn.Linear(stages[-1][-1], classes))
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return model
