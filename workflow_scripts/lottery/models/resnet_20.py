"""ResNet-20 (He et al. 2016, section 4.2), of torchvision's blocks: 272,474 parameters for 10 classes."""

from typing import TYPE_CHECKING

from ..runs import Connection
from . import check_normalised
from .resnet import block_connections

if TYPE_CHECKING:
    from torch import nn

OUTPUT = "output"
OPTIONS = {
    "blocks": {"type": "integer", "minimum": 1, "default": 3},
    "width": {"type": "integer", "minimum": 1, "default": 16},
}


def depends_on(input_shape: tuple[int, int, int]) -> int:
    """What of the input's shape the parameters depend on: the number of channels."""
    return input_shape[0]


def check(input_shape: tuple[int, int, int], batch_size: int, blocks: int, width: int) -> None:
    """Raise InputError for one image alone whose last map is a single pixel."""
    shrinks = 4
    check_normalised((-(-input_shape[1] // shrinks), -(-input_shape[2] // shrinks)), batch_size)


def connections(blocks: int, width: int) -> list[Connection]:
    found, before = [Connection("0.weight", "input", "stem")], "stem"
    for stage in (1, 2, 3):
        for block in range(blocks):
            name = f"stage{stage}_{block + 1}"
            found += block_connections(name, before, 2, shorter=stage > 1 and not block)
            before = name
    return [*found, Connection(f"{OUTPUT}.weight", before, "output")]


def build(input_shape: tuple[int, int, int], classes: int, blocks: int, width: int) -> "nn.Module":
    """[B, C, H, W] -> [B, classes]. He normal weights; 1x1 convolutions where the size changes.

    blocks: of each of the three stages; 5 is ResNet-32, 9 is ResNet-56
    width: channels of the first stage; they double from stage to stage
    """
    from torch import nn
    from torchvision.models.resnet import BasicBlock, conv1x1, conv3x3

    model = nn.Sequential(conv3x3(input_shape[0], width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
    channels = width
    for stage in range(3):
        for block in range(blocks):
            planes, stride = width * 2**stage, 2 if stage and not block else 1
            shorter = None
            if channels != planes:
                shorter = nn.Sequential(conv1x1(channels, planes, stride), nn.BatchNorm2d(planes))
            model.add_module(f"stage{stage + 1}_{block + 1}", BasicBlock(channels, planes, stride, shorter))
            channels = planes
    model.add_module("average", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module(OUTPUT, nn.Linear(channels, classes))
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return model
