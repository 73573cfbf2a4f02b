"""WikiText-2 (Merity et al. 2016): articles of Wikipedia in words, rare ones replaced by `<unk>`.

The three files of `wikitext-2-v1.zip`, as they are named there or `train.txt`, `valid.txt`, `test.txt`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.text import read_utf8
from ..downloads import verify
from ..errors import InputError

KIND = "text"
TRAIN, VOCABULARY = 2_088_628, 33_278
MD5 = {
    "train": "34a77ebe59551b3a3b3d8c0a2797c976",
    "valid": "d756d22ab2310e7e60c094bea5c5a8eb",
    "test": "781c9418ab9414bd09e4aad825aae752",
}
FOLDER = "wikitext-2"


def load(root: Path) -> dict[str, str]:
    """The three texts, each file verified. Raises DamagedFile, InputError (missing)."""
    texts = {}
    for split, md5 in MD5.items():
        path = _file(root, split)
        if path is None:
            raise InputError(_missing(root, split))
        verify(path, md5)
        texts["validation" if split == "valid" else split] = read_utf8(path)
    return texts


def absent(dataset: Mapping[str, Any], root: Path) -> str | None:
    """What is missing under the data root."""
    return next((_missing(root, split) for split in MD5 if _file(root, split) is None), None)


def _file(root: Path, split: str) -> Path | None:
    names = (f"wiki.{split}.tokens", f"{split}.txt")
    return next((root / FOLDER / name for name in names if (root / FOLDER / name).exists()), None)


def _missing(root: Path, split: str) -> str:
    return f"{root / FOLDER}: has no wiki.{split}.tokens or {split}.txt, out of wikitext-2-v1.zip"
