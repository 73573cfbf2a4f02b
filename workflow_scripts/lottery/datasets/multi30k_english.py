"""The English captions of Multi30k (Elliott et al. 2016, task 1), lower-cased and in words.

The official repository's files, in `multi30k/task1/tok`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.text import read_utf8
from ..downloads import verify
from ..errors import InputError

KIND = "text"
TRAIN, VOCABULARY = 406_534, 10_212
FOLDER = "multi30k/task1/tok"
FILES = {  # part -> file and its MD5
    "train": ("train.lc.norm.tok.en", "11ac4eac7988e6bd46cabe9755b71d26"),
    "validation": ("val.lc.norm.tok.en", "02902c626a88ec3c0a56cca3c5bb77fe"),
    "test": ("test_2016_flickr.lc.norm.tok.en", "09aa5360d1e0ae3e03742297eb720d7d"),
}


def load(root: Path) -> dict[str, str]:
    """The three texts, each file verified. Raises DamagedFile, InputError (missing)."""
    if missing := absent({}, root):
        raise InputError(missing)
    texts = {}
    for part, (name, md5) in FILES.items():
        verify(root / FOLDER / name, md5)
        texts[part] = read_utf8(root / FOLDER / name)
    return texts


def absent(dataset: Mapping[str, Any], root: Path) -> str | None:
    """What is missing under the data root."""
    paths = [root / FOLDER / name for name, _ in FILES.values()]
    return next((f"{path}: is not there" for path in paths if not path.exists()), None)
