"""Text: cut into words or characters, numbered by a vocabulary, as three arrays of numbers in one file.

What a data set of this kind has in `datasets/`:

    TRAIN, VOCABULARY  tokens of the training text, and how many kinds of them there are, `<unk>` among them
    load(root)         -> the texts `train`, `validation` and `test`

Texts of one's own (`text-files`) have no constants: their entry in config/datasets says both, and `load` is
given their own folder and the entry. Whose files no checksum verifies has `record(root)` as well, as images
have.

A word is what stands between blanks; the end of a line is one too, `<eos>`. The vocabulary is counted on the
whole training text, so that all parts of one text have it in common; token 0 is `<unk>`, all that it has not.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import plugins
from ..errors import InputError
from ..weights import load_arrays, save_arrays
from . import Dataset, module_of

SUFFIX = ".safetensors"
PARTS = ("train", "validation", "test")
END, UNKNOWN = "<eos>", "<unk>"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["of"],
    "properties": {
        "of": {"type": "string", "description": "a text under datasets/; text-files for texts of one's own"},
        "vocabulary": {
            "type": "integer",
            "minimum": 2,
            "description": "kinds of tokens, <unk> among them: the most frequent of the training text",
        },
        "vocabulary_of": {
            "type": "string",
            "description": "a text under datasets/ whose words are taken",
        },
        "half": {"enum": ["a", "b"], "description": "the first or the second half of the training text"},
        "first": {"type": "integer", "minimum": 2, "description": "training tokens taken; of its half"},
        "train": {"type": "integer", "minimum": 2, "description": "text-files; tokens of the training text"},
        "characters": {"const": True, "description": "text-files; a token is a character"},
        "fractions": {
            "type": "array",
            "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "minItems": 3,
            "maxItems": 3,
            "description": "text-files; one text, cut into training, validation and test tokens",
        },
    },
}


@dataclass(frozen=True)
class Description:
    """What a text holds.

    train:      training tokens
    vocabulary: kinds of tokens
    words:      equal for two texts whose tokens mean the same
    """

    train: int
    vocabulary: int
    words: str


def describe(dataset: Dataset) -> Description:
    """Of a named text, without reading it. Raises InputError for a data set of another kind."""
    module = module_of(dataset, "text")
    train = _half_or_whole(dataset)
    train = min(train, dataset.get("first", train))
    counted_on = dataset.get("vocabulary_of", dataset["of"])
    if not hasattr(module, "TRAIN") and "vocabulary_of" not in dataset:
        counted_on = f"{dataset['of']} {dataset['name']}"  # each has a vocabulary of its own
    size = _vocabulary_size(dataset)
    return Description(train, size, f"the {size} most frequent of {counted_on}")


def _whole(dataset: Dataset) -> int:
    """Tokens of the whole training text."""
    return int(getattr(plugins.find("datasets", dataset["of"]), "TRAIN", None) or dataset.get("train", 0))


def _half_or_whole(dataset: Dataset) -> int:
    return _whole(dataset) // 2 if "half" in dataset else _whole(dataset)


def _vocabulary_size(dataset: Dataset) -> int:
    module = plugins.find("datasets", dataset.get("vocabulary_of", dataset["of"]))
    return int(dataset.get("vocabulary", getattr(module, "VOCABULARY", 0)))


def check(dataset: Dataset) -> None:
    """Raise InputError for an entry that cannot work."""
    module = plugins.find("datasets", dataset["of"])
    own = not hasattr(module, "TRAIN")
    if "vocabulary_of" in dataset:
        other = plugins.find("datasets", dataset["vocabulary_of"])
        if other.KIND != "text" or not hasattr(other, "TRAIN"):
            raise InputError(
                f"vocabulary_of: found {dataset['vocabulary_of']}, allowed: a text with a file of its own "
                "under datasets/"
            )
        if "characters" in dataset:
            raise InputError("vocabulary_of: is of words; allowed without characters")
    needed = ("train",) if "vocabulary_of" in dataset else ("train", "vocabulary")
    if own and (missing := [key for key in needed if key not in dataset]):
        raise InputError(f"{missing[0]}: is missing, which of {dataset['of']} needs: {_meaning(missing[0])}")
    if not own and (given := [key for key in ("train", "characters", "fractions") if key in dataset]):
        raise InputError(f"{given[0]}: allowed for text-files only, found of {dataset['of']}")
    if "fractions" in dataset and not math.isclose(sum(dataset["fractions"]), 1):
        raise InputError(f"fractions: found {dataset['fractions']}, allowed: three that sum to 1")
    whole = dataset.get("vocabulary_of", dataset["of"])
    most = getattr(plugins.find("datasets", whole), "VOCABULARY", _vocabulary_size(dataset))
    if _vocabulary_size(dataset) > most:
        raise InputError(f"vocabulary: found {dataset['vocabulary']}, allowed: up to {most}, of {whole}")
    if dataset.get("first", 0) > _half_or_whole(dataset):
        raise InputError(f"first: found {dataset['first']}, allowed: up to {_half_or_whole(dataset)}")


def _meaning(key: str) -> str:
    return str(SCHEMA["properties"][key]["description"]).removeprefix("text-files; ")


def record(dataset: Dataset, root: Path) -> str | None:
    """What the text's own files are, if no checksum verifies them; None if they are not there."""
    module = plugins.find("datasets", dataset["of"])
    if not hasattr(module, "record"):
        return None
    found: str | None = module.record(root / dataset["name"])
    return found


def verify(path: Path) -> str:
    """The checksum of a prepared text. Raises DamagedFile."""
    return str(load_arrays(path)[1]["sha256"])


def prepare(dataset: Dataset, root: Path, path: Path) -> None:
    """Load a text from `root`, check it, number its tokens and write them to `path`.

    Written are train, validation and test: [tokens] int32; and vocabulary: what the numbers stand for, a JSON
    list as bytes. Raises InputError when the text and what its entry says disagree.
    """
    where = f"data set {dataset['name']}"
    module = plugins.find("datasets", dataset["of"])
    own = not hasattr(module, "TRAIN")
    texts = _loaded(where, lambda: module.load(root / dataset["name"], dataset) if own else module.load(root))
    cut = list if "characters" in dataset else words
    tokens = {part: cut(text.replace("\r\n", "\n")) for part, text in texts.items()}
    if "fractions" in dataset:
        tokens = _in_fractions(tokens["train"], dataset["fractions"])
    for part in PARTS:
        _check_kinds(f"{where}: {part}", tokens[part])
    if len(tokens["train"]) != _whole(dataset):
        raise InputError(
            f"{where}: train: found {_whole(dataset)}, the training text has {len(tokens['train'])} tokens"
        )
    counted = tokens["train"]
    if "vocabulary_of" in dataset:
        other = plugins.find("datasets", dataset["vocabulary_of"])
        counted = words(_loaded(where, lambda: other.load(root))["train"])
    vocabulary = _vocabulary(where, counted, _vocabulary_size(dataset))
    for part in PARTS:
        if not set(tokens[part]) & set(vocabulary) - {END}:
            raise InputError(f"{where}: {part}: has none of the {len(vocabulary)} words of the vocabulary")
    number = {word: place for place, word in enumerate(vocabulary)}
    arrays = {part: np.array([number.get(t, 0) for t in tokens[part]], np.int32) for part in PARTS}
    arrays["train"] = _taken(dataset, arrays["train"])
    arrays["vocabulary"] = np.frombuffer(json.dumps(vocabulary).encode(), np.uint8)
    save_arrays(path, arrays, {"dataset": dict(dataset)})


def _loaded(where: str, load: Any) -> dict[str, str]:
    try:
        found: dict[str, str] = load()
    except OSError as error:  # a file that is a folder, may not be read, lies on a broken disk
        raise InputError(f"{where}: {error.filename}: {error.strerror or error}") from None
    return found


def _check_kinds(where: str, tokens: Sequence[str]) -> None:
    """Raise InputError for a text in which there is nothing to tell."""
    if all(token == END or token.isspace() for token in tokens):
        raise InputError(f"{where}: found an empty text, allowed: a text with a word in it")
    if len(set(tokens)) < 2:
        raise InputError(
            f"{where}: found {len(tokens)} times {tokens[0]!r} and nothing else, allowed: two kinds of tokens"
        )


def read_utf8(path: Path) -> str:
    """A file's text. Raises InputError for one that is missing or not UTF-8."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise InputError(f"{path}: is missing") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start})") from None


def words(text: str) -> list[str]:
    """What stands between blanks, and `<eos>` at the end of each line."""
    lines = text.removesuffix("\n").split("\n")
    return [word for line in lines for word in (*line.split(), END)]


def _in_fractions(tokens: list[str], fractions: Sequence[float]) -> dict[str, list[str]]:
    first = int(len(tokens) * fractions[0])
    second = first + int(len(tokens) * fractions[1])
    return {"train": tokens[:first], "validation": tokens[first:second], "test": tokens[second:]}


def _vocabulary(where: str, tokens: Sequence[str], size: int) -> list[str]:
    """`<unk>`, and of all others the most frequent; of equally frequent ones the first to appear."""
    kinds = [word for word, _ in Counter(tokens).most_common() if word != UNKNOWN]
    if size > len(kinds) + 1:
        raise InputError(
            f"{where}: vocabulary: found {size}, the text has {len(kinds) + 1} kinds of tokens with {UNKNOWN}"
        )
    return [UNKNOWN, *kinds[: size - 1]]


def _taken(dataset: Dataset, tokens: np.ndarray) -> np.ndarray:
    """The part of the training text that a named set takes: of its half the first tokens."""
    if "half" in dataset:
        tokens = tokens[: len(tokens) // 2] if dataset["half"] == "a" else tokens[len(tokens) // 2 :]
    return tokens[: describe(dataset).train]


def unigram(train: np.ndarray, text: np.ndarray, vocabulary: int) -> float:
    """Mean negative log-probability, in nats, of a text under the frequencies of single training tokens, each
    counted once more than it occurs: what is reached without looking at what stands before."""
    counts = np.bincount(train, minlength=vocabulary) + 1
    return float(-np.log(counts / counts.sum())[text].mean())
