"""Sentences of a small made-up grammar of English: no download, the same characters on every machine.

Sentences come in stories of four. A story is about one place, from which all its nouns and verbs are; a verb
agrees in number with its subject, also across the clause between them; of words that fit
the first comes most often. So there is something to learn from the word before, the sentence, and the story.
"""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

from ..errors import DamagedFile

KIND = "text"
TRAIN, VOCABULARY = 55_310, 231
SENTENCES = {"train": 5_640, "validation": 600, "test": 600}
SHA256 = "a807493591b13c62989612d918ca517c86c39ba7a63e35a7c8b3de8daa76258f"
STORY = 4  # sentences
PLACES = {
    "farm": ("farmer cow horse goat dog barn plough field", "feed milk herd chase plant"),
    "harbour": ("sailor boat gull net captain crane anchor wave", "row load steer mend tow"),
    "school": ("teacher pupil book desk lesson bell pencil poem", "read show quote learn spell"),
    "kitchen": ("cook pot ladle oven guest plate spoon soup", "stir bake taste serve peel"),
    "forest": ("hunter badger hare owl tree path river heron", "track hear follow climb fear"),
    "town": ("clerk street shop baker tram tower crowd stall", "visit sell paint enter sweep"),
    "hospital": ("doctor nurse patient bed ward needle visitor drug", "treat examine bathe help lift"),
    "court": ("judge lawyer suspect robber guard law trial juror", "question accuse believe warn call"),
}
ADJECTIVES = ["old", "small", "quiet", "large", "clever", "tired", "strange", "young"]
SINGULAR, PLURAL = ["the", "one", "this", "every"], ["the", "some", "these", "many"]
PREPOSITIONS = ["near", "behind", "with", "above"]


def load(root: Path) -> dict[str, str]:
    """The three texts, drawn one after the other; `root` is not looked at."""
    draw = random.Random(0).random  # Python promises the same numbers in every version
    texts = {part: "".join(_story(draw) for _ in range(n // STORY)) for part, n in SENTENCES.items()}
    found = hashlib.sha256("".join(texts.values()).encode()).hexdigest()
    if found != SHA256:
        raise DamagedFile("the grammar's text", f"has checksum {found[:16]}, expected {SHA256[:16]}")
    return texts


def _story(draw: Callable[[], float]) -> str:
    nouns, verbs = (words.split() for words in list(PLACES.values())[int(draw() * len(PLACES))])
    return "".join(f"{_sentence(draw, nouns, verbs)} .\n" for _ in range(STORY))


def _sentence(draw: Callable[[], float], nouns: list[str], verbs: list[str]) -> str:
    plural = draw() < 0.5
    said = [_phrase(draw, nouns, plural)]
    if draw() < 0.3:
        said += ["that", _phrase(draw, nouns, other := draw() < 0.5), _verb(draw, verbs, other)]
    elif draw() < 0.3:
        said += [_chosen(draw, PREPOSITIONS), _phrase(draw, nouns, draw() < 0.5)]
    return " ".join([*said, _verb(draw, verbs, plural), _phrase(draw, nouns, draw() < 0.5)])


def _phrase(draw: Callable[[], float], nouns: list[str], plural: bool) -> str:
    adjective = [_chosen(draw, ADJECTIVES)] if draw() < 0.4 else []
    noun = _chosen(draw, nouns)
    return " ".join(
        [_chosen(draw, PLURAL if plural else SINGULAR), *adjective, noun + ("s" if plural else "")]
    )


def _verb(draw: Callable[[], float], verbs: list[str], plural: bool) -> str:
    return _chosen(draw, verbs) + ("" if plural else "s")


def _chosen(draw: Callable[[], float], words: list[str]) -> str:
    """One of them, the first twice as often as the second, three times as often as the third."""
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    left = draw() * sum(weights)
    for word, weight in zip(words, weights, strict=True):
        left -= weight
        if left < 0:
            return word
    return words[-1]
