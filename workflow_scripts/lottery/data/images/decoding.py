"""Image files as uint8 tensors: decoding, and the crops of training and testing."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ...errors import InputError


def decode(path: str | Path, channels: int = 3) -> Tensor:
    """An image file as [C, H, W] uint8. Raises InputError for one that cannot be decoded."""
    try:
        with Image.open(path) as image:
            pixels: Tensor = functional.pil_to_tensor(image.convert("RGB" if channels == 3 else "L"))
            return pixels
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be decoded as an image ({error})") from None


def centre_crop(image: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The middle of an image, [C, *shape[1:]]; of a large one, 7/8 of its shorter side."""
    _, height, width = shape
    margin = 8 / 7 if height >= 64 else 1.0
    scale = margin * max(height / image.shape[1], width / image.shape[2])
    size = [max(height, round(image.shape[1] * scale)), max(width, round(image.shape[2] * scale))]
    crop: Tensor = functional.center_crop(functional.resize(image, size, antialias=True), [height, width])
    return crop


def random_crop(image: Tensor, shape: tuple[int, int, int], seed: int) -> Tensor:
    """A crop of random area and aspect, resized: torchvision's for ImageNet, drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        crop: Tensor = v2.RandomResizedCrop(list(shape[1:]), antialias=True)(image)
    return crop
