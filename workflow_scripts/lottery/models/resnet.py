"""Residual networks (He et al. 2016), torchvision's: ResNet-18, -34, -50, -101, -152."""

from typing import TYPE_CHECKING

from ..runs import Connection
from . import check_normalised

if TYPE_CHECKING:
    from torch import nn

OUTPUT = "fc"
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
OPTIONS = {
    "depth": {"enum": [18, 34, 50, 101, 152], "default": 50},
    "stem": {"enum": ["imagenet", "cifar"], "default": "imagenet"},
}


def depends_on(input_shape: tuple[int, int, int]) -> int:
    """What of the input's shape the parameters depend on: the number of channels."""
    return input_shape[0]


def check(input_shape: tuple[int, int, int], batch_size: int, depth: int, stem: str) -> None:
    """Raise InputError for one image alone whose last map is a single pixel."""
    shrinks = 8 if stem == "cifar" else 32
    check_normalised((-(-input_shape[1] // shrinks), -(-input_shape[2] // shrinks)), batch_size)


def connections(depth: int, stem: str) -> list[Connection]:
    found, before = [Connection("conv1.weight", "input", "stem")], "stem"
    for stage, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            name = f"layer{stage + 1}.{block}"
            bottleneck = depth >= 50
            shorter = not block and (stage > 0 or bottleneck)
            found += block_connections(name, before, 3 if bottleneck else 2, shorter)
            before = name
    return [*found, Connection(f"{OUTPUT}.weight", before, "output")]


def block_connections(name: str, before: str, convolutions: int, shorter: bool) -> list[Connection]:
    """Of one of torchvision's residual blocks; shorter: whether a 1x1 convolution is beside them, in place of
    the values themselves."""
    groups = [before, *(f"{name}.{number + 1}" for number in range(convolutions - 1)), name]
    found = [
        Connection(f"{name}.conv{number + 1}.weight", *groups[number : number + 2])
        for number in range(convolutions)
    ]
    return [*found, Connection(f"{name}.downsample.0.weight" if shorter else None, before, name)]


def build(input_shape: tuple[int, int, int], classes: int, depth: int, stem: str) -> "nn.Module":
    """[B, C, H, W] -> [B, classes]. He normal weights, as in torchvision.

    stem: `imagenet`, a 7x7 convolution of stride 2 and a maximum of stride 2; `cifar`, a 3x3 convolution that
        keeps the size (docs/one-ticket.md, decision 3)
    """
    import torchvision
    from torch import nn

    model: nn.Module = getattr(torchvision.models, f"resnet{depth}")(num_classes=classes)
    if stem == "cifar":
        first, model.maxpool = nn.Conv2d(input_shape[0], 64, 3, padding=1, bias=False), nn.Identity()
    else:
        first = nn.Conv2d(input_shape[0], 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(first.weight, mode="fan_out", nonlinearity="relu")
    model.conv1 = first
    return model
