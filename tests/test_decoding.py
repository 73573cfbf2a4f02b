"""Every type of pixel that the image library can open: read right, or refused with its file and type."""

import struct
import zlib

import numpy as np
import pytest
from lottery.data.images import prepare
from lottery.data.images.decoding import decode
from lottery.errors import InputError
from lottery.weights import load_arrays
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

GRAY = np.arange(256, dtype=np.uint8).reshape(8, 32)  # not square, and nothing in it twice
COLOUR = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], axis=2)
ALPHA = np.where(GRAY % 2, 0, 200).astype(np.uint8)
SIXTEEN = GRAY.astype(np.uint16) << 8 | GRAY
LUMA = np.array(Image.fromarray(COLOUR).convert("L"))


def big_endian():
    return Image.frombytes("I;16B", (32, 8), SIXTEEN.astype(">u2").tobytes())


def palette():
    image = Image.fromarray(GRAY, "P")
    image.putpalette(COLOUR.reshape(-1).tobytes())
    return image


def premultiplied():
    image = Image.merge("RGBA", [*Image.fromarray(COLOUR).split(), Image.new("L", (32, 8), 255)])
    return image.convert("RGBa")


def with_alpha(pixels):
    bands = Image.fromarray(pixels).split()
    mode = "LA" if len(bands) == 1 else "RGBA"
    return Image.merge(mode, [*bands, Image.fromarray(ALPHA)])


READ = {  # file -> image, its pixels
    "8.png": (lambda: Image.fromarray(GRAY), GRAY),
    "16.png": (lambda: Image.fromarray(SIXTEEN), GRAY),
    "16.tif": (lambda: Image.fromarray(SIXTEEN), GRAY),
    "16-big.tif": (big_endian, GRAY),
    "16.jp2": (lambda: Image.fromarray(SIXTEEN), GRAY),
    "16.pgm": (lambda: Image.fromarray(SIXTEEN), GRAY),
    "1.png": (lambda: Image.fromarray(GRAY > 99), np.where(GRAY > 99, 255, 0)),
    "1.tif": (lambda: Image.fromarray(GRAY > 99), np.where(GRAY > 99, 255, 0)),
    "rgb.tif": (lambda: Image.fromarray(COLOUR), COLOUR),
    "palette.png": (palette, COLOUR),
    "palette.tif": (palette, COLOUR),
    "palette.bmp": (palette, COLOUR),
    "la.png": (lambda: with_alpha(GRAY), GRAY),
    "rgba.png": (lambda: with_alpha(COLOUR), COLOUR),
    "rgba.tif": (lambda: with_alpha(COLOUR), COLOUR),
    "cmyk.tif": (lambda: Image.fromarray(COLOUR).convert("CMYK"), COLOUR),
    "ycbcr.tif": (lambda: Image.fromarray(COLOUR).convert("YCbCr"), COLOUR),
}


@pytest.mark.parametrize("name", READ)
def test_a_type_of_pixel_is_read_right(name, tmp_path):
    make, pixels = READ[name]
    make().save(tmp_path / name)
    colour = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    gray = pixels if pixels.ndim == 2 else LUMA
    about = 3 if name == "ycbcr.tif" else 1 if name == "cmyk.tif" else 0  # what the colour space rounds
    for channels, expected in ((3, colour), (1, gray[..., None])):
        found = decode(tmp_path / name, channels).numpy().transpose(1, 2, 0)
        assert found.dtype == np.uint8
        assert np.abs(found.astype(int) - expected).max() <= about, channels


def test_a_twelve_bit_tiff_and_one_whose_white_is_zero(tmp_path):
    """Files that the library reads and does not write: their tags are changed in the bytes."""
    twelve = (GRAY.astype(int) << 4 | GRAY >> 4).reshape(-1, 2)
    packed = np.stack(
        [twelve[:, 0] >> 4, (twelve[:, 0] & 15) << 4 | twelve[:, 1] >> 8, twelve[:, 1] & 255], 1
    )
    path = tmp_path / "12.tif"
    _tiff(path, packed.astype(np.uint8).tobytes(), bits=12)
    assert np.array_equal(decode(path, 1)[0].numpy(), GRAY)
    _tiff(path, SIXTEEN.astype("<u2").tobytes(), bits=16, photometric=0)
    assert np.array_equal(decode(path, 1)[0].numpy(), 255 - GRAY)
    _tiff(path, GRAY.tobytes(), bits=8, samples=2)
    with pytest.raises(InputError, match=r"12.tif: .*signed pixels of type L in TIFF"):
        decode(path, 1)


@pytest.mark.parametrize(
    ("colour", "pixels"),
    [
        (2, COLOUR),
        (6, np.dstack([COLOUR, ALPHA])),
        (4, np.dstack([GRAY, ALPHA])),
    ],
    ids=["RGB", "RGBA", "LA"],
)
def test_a_png_of_16_bits_and_several_channels(tmp_path, colour, pixels):
    """Which the library reads and does not write; the lower bits are others than the upper ones."""
    rows = (pixels.astype(">u2") << 8 | pixels // 3).astype(">u2")
    header = struct.pack(">IIBBBBB", 32, 8, 16, colour, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    file = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", content), (b"IEND", b"")):
        file += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    (tmp_path / "16.png").write_bytes(file)
    found = decode(tmp_path / "16.png").numpy().transpose(1, 2, 0)
    assert np.array_equal(found, pixels[..., :3] if colour != 4 else np.dstack([GRAY] * 3))


def _tiff(path, content, bits, photometric=1, samples=1):
    """A little-endian TIFF of one strip, 32 x 8."""
    tags = {256: 32, 257: 8, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 8}
    tags |= {279: len(content), 339: samples}
    entries = b"".join(
        tag.to_bytes(2, "little") + b"\x04\0\x01\0\0\0" + value.to_bytes(4, "little")
        for tag, value in tags.items()
    )
    directory = len(tags).to_bytes(2, "little") + entries + bytes(4)
    path.write_bytes(b"II*\0" + (8 + len(content)).to_bytes(4, "little") + content + directory)


@pytest.mark.parametrize(
    ("name", "mode"), [("32.tif", "I"), ("float.tif", "F"), ("float.pfm", "F"), ("lab.tif", "LAB")]
)
@pytest.mark.parametrize("streamed", [{}, {"streamed": True}])
def test_pixels_without_a_range_are_refused_with_file_and_type(name, mode, streamed, tmp_path):
    """In memory and streamed: a folder with one such image is not prepared."""
    make = Image.fromarray(COLOUR).convert("RGB") if mode == "LAB" else Image.fromarray(GRAY).convert(mode)
    if mode == "LAB":
        make = Image.frombytes("LAB", (32, 8), COLOUR.tobytes())
    for part in ("train", "test"):
        for kind in ("a", "b"):
            (tmp_path / "own" / part / kind).mkdir(parents=True)
            Image.fromarray(COLOUR).save(tmp_path / "own" / part / kind / "0.png")
    bad = (tmp_path / "own/test/b" / name).with_suffix(".tif" if name.endswith("tif") else ".pgm")
    make.save(bad)
    entry = {"name": "own", "of": "image-folder", "shape": [3, 8, 8], "classes": 2, "train": 2, "test": 3}
    with pytest.raises(InputError, match=rf"{bad.name}: .*pixels of type {mode} in ") as error:
        prepare(entry | streamed, tmp_path, tmp_path / "out.safetensors")
    assert "\n" not in str(error.value) and not (tmp_path / "out.safetensors").exists()


def test_a_folder_of_16_bit_images_is_prepared_as_one_of_8_bits(tmp_path):
    entry = {"of": "image-folder", "shape": [1, 8, 32], "classes": 2, "train": 2, "test": 2}
    found = []
    for name, image in (("eight", Image.fromarray(GRAY)), ("sixteen", Image.fromarray(SIXTEEN))):
        for part in ("train", "test"):
            for kind in ("a", "b"):
                (tmp_path / name / part / kind).mkdir(parents=True)
                image.save(tmp_path / name / part / kind / "0.png")
        prepare({"name": name, **entry}, tmp_path, tmp_path / f"{name}.safetensors")
        found.append(load_arrays(tmp_path / f"{name}.safetensors")[0])
    assert all(np.array_equal(found[0][key], found[1][key]) for key in found[0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *((mode, suffix) for mode in ("RGB", "L") for suffix in (".png", ".jpg", ".tif", ".webp")),
        *(("I;16", suffix) for suffix in (".png", ".tif")),  # the others have no such pixels
    ],
)
def test_an_image_is_turned_as_its_exif_says(orientation, suffix, mode, tmp_path):
    image = Image.fromarray({"RGB": COLOUR, "L": GRAY, "I;16": SIXTEEN}[mode])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / f"turned{suffix}", exif=exif, **({"quality": 100} if suffix == ".jpg" else {}))
    image.save(tmp_path / f"plain{suffix}", **({"quality": 100} if suffix == ".jpg" else {}))
    plain = decode(tmp_path / f"plain{suffix}")
    upright = {  # (rows, columns) of the upright image from those of the file: the EXIF standard, table 6
        1: plain,
        2: plain.flip(2),
        3: plain.flip(1, 2),
        4: plain.flip(1),
        5: plain.transpose(1, 2),
        6: plain.flip(1).transpose(1, 2),
        7: plain.flip(1, 2).transpose(1, 2),
        8: plain.flip(2).transpose(1, 2),
    }
    assert np.array_equal(decode(tmp_path / f"turned{suffix}"), upright[orientation])


def test_exif_that_cannot_be_read_turns_nothing(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.png", exif=b"Exif\0\0no directory of tags")
    assert np.array_equal(decode(tmp_path / "a.png").numpy().transpose(1, 2, 0), COLOUR)


@pytest.mark.filterwarnings("ignore:.*(Corrupt EXIF|Metadata Warning|Tag data|Truncated)")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", ".ppm", ".gif", ".jp2"])
def test_no_damage_to_an_image_is_a_traceback(suffix, tmp_path):
    """Cut off anywhere, or bytes changed anywhere: pixels, or one line that names the file."""
    path = tmp_path / f"image{suffix}"
    Image.fromarray(COLOUR).save(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for number in range(200):
        content = bytearray(whole)
        if number % 2:
            del content[rng.integers(len(content)) :]
        else:
            for at in rng.integers(len(content), size=3):
                content[at] = rng.integers(256)
        path.write_bytes(content)
        try:
            assert decode(path).shape[0] == 3
        except InputError as error:
            assert str(error).startswith(f"{path}: cannot be decoded") and "\n" not in str(error)


def test_the_suffixes_of_images_are_torchvisions():
    from lottery.datasets.image_folder import SUFFIXES

    assert SUFFIXES == IMG_EXTENSIONS
