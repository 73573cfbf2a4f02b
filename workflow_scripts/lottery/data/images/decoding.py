"""Image files as uint8 tensors: decoding, and the crops of training and testing."""

from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ...errors import InputError

UPRIGHT = {  # EXIF orientation -> what brings the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
READ = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")
PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
FULL_RANGE = ("PNG", "PPM", "TIFF", "JPEG2000")  # formats whose 16-bit gray goes from black to white
BITS, PHOTOMETRIC, SAMPLES = 258, 262, 339  # tags of a TIFF
WHITE_IS_ZERO, SIGNED = 0, 2  # what they may say


def decode(path: str | Path, channels: int = 3) -> Tensor:
    """An image file, upright, as [C, H, W] uint8. Raises InputError for one that cannot be decoded.

    Of 16 bits the upper 8 are taken, 0 being black and the largest number white; alpha is dropped, colours
    are those that the file has under it. Pixels without a range (32-bit, float, signed) are refused.
    """
    try:
        # as an open file: by its name Pillow would map a TIFF, and scramble one that is to be turned
        with open(path, "rb") as file, Image.open(file) as image:
            image.load()
            upright = _turned(_eight_bits(image), image)
            pixels: Tensor = functional.pil_to_tensor(upright.convert("RGB" if channels == 3 else "L"))
            return pixels
    except FileNotFoundError:
        raise InputError(f"{_shown(path)}: is missing") from None
    except Exception as error:  # the image library raises all kinds at files that are damaged
        reason = " ".join(_shown(error).split())
        raise InputError(f"{_shown(path)}: cannot be decoded as an image ({reason})") from None


def _shown(text: object) -> str:
    """Text that can be printed, also of a file name that is not UTF-8."""
    return str(text).encode(errors="backslashreplace").decode()


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image with pixels of 8 bits. Raises ValueError for those that have no range to bring to it."""
    tags = getattr(image, "tag_v2", {})
    if image.mode in PREMULTIPLIED:
        return image.convert(PREMULTIPLIED[image.mode])
    signed = SIGNED in np.atleast_1d(tags.get(SAMPLES, 1))
    if image.mode in READ and not signed:
        return image.convert("RGB") if image.mode == "HSV" else image
    gray = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if not gray or image.format not in FULL_RANGE or signed:
        raise ValueError(
            f"{'signed ' * signed}pixels of type {image.mode} in {image.format}, allowed: those of 8 bits, "
            "and gray ones of 16"
        )
    bits = int(np.atleast_1d(tags.get(BITS, 16))[0])
    values = np.asarray(image).astype(np.int64) >> (bits - 8)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        values = 255 - values
    return Image.fromarray(values.astype(np.uint8))


def _turned(image: Image.Image, original: Image.Image) -> Image.Image:
    """The image as its EXIF orientation says; unreadable EXIF says nothing."""
    try:
        turn = UPRIGHT.get(original.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        turn = None
    return image if turn is None else image.transpose(turn)


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
