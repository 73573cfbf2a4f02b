"""Texts: words and their numbers against counts made in another way; what is read of them, token by token."""

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DATASETS, REPO
from lottery.config import absent, read_datasets
from lottery.data import kind_of, text
from lottery.datasets import grammar
from lottery.errors import DamagedFile, InputError
from lottery.tasks.language.texts import COLUMNS, NOTHING, WINDOW, Texts
from lottery.weights import load_arrays

ROOT = Path(os.environ.get("LOTTERY_DATA", "data"))
WIKITEXT = ROOT / "wikitext-2"
OFFICIAL = {"train": 2_088_628, "valid": 217_646, "test": 245_569}
MULTI30K = {"train": 406_534, "validation": 14_322, "test": 13_968}
TEXT = "the cat sat\nthe dog sat\n"
needs_wikitext = pytest.mark.skipif(not WIKITEXT.exists(), reason=f"no {WIKITEXT}; set LOTTERY_DATA")


@pytest.fixture
def prepare(tmp_path):
    """prepare(entry, root): the arrays of a data set, and its vocabulary."""

    def prepared(entry, root=tmp_path):
        path = tmp_path / "results/out.safetensors"
        path.parent.mkdir(exist_ok=True)
        kind_of(entry).prepare(entry, root, path)
        arrays, _ = load_arrays(path)
        assert arrays["train"].dtype == np.int32
        return arrays, json.loads(arrays["vocabulary"].tobytes())

    return prepared


@pytest.fixture
def own(tmp_path):
    """own(train, ...): the entry of a text of one's own, its files written as they are given."""

    def entry(whole=TEXT, valid=TEXT, test=TEXT, **keys):
        (tmp_path / "mine").mkdir(exist_ok=True)
        files = {"text": whole} if "fractions" in keys else {"train": whole, "valid": valid, "test": test}
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            (tmp_path / f"mine/{name}.txt").write_bytes(content)
        given = {"name": "mine", "of": "text-files", "train": 8, "vocabulary": 3, **keys}
        given = {key: value for key, value in given.items() if value is not None}
        text.check(given)
        return given

    return entry


def split(words):
    """Tokens of a text whose lines all end in a line break."""
    return words.replace("\n", " <eos> ").split()


def spelt(numbers, vocabulary):
    return [vocabulary[number] for number in numbers]


# --- WikiText-2


@needs_wikitext
@pytest.mark.parametrize("names", ["{}.txt", "wiki.{}.tokens"])
def test_wikitext_2_is_read_under_either_name(tmp_path, prepare, names):
    (tmp_path / "wikitext-2").mkdir()
    for part in OFFICIAL:
        (tmp_path / "wikitext-2" / names.format(part)).symlink_to((WIKITEXT / f"{part}.txt").resolve())
    arrays, vocabulary = prepare(DATASETS["wikitext-2"])
    assert len(vocabulary) == len(set(vocabulary)) == 33_278
    assert vocabulary[0] == "<unk>" and vocabulary[1] == "the"
    for part, count in OFFICIAL.items():
        found = arrays["validation" if part == "valid" else part]
        assert len(found) == count
        assert spelt(found, vocabulary) == split((WIKITEXT / f"{part}.txt").read_text())


@needs_wikitext
def test_a_damaged_file_of_wikitext_2_is_refused(tmp_path, prepare):
    shutil.copytree(WIKITEXT, tmp_path / "wikitext-2")
    path = tmp_path / "wikitext-2/test.txt"
    path.write_bytes(path.read_bytes().replace(b"Robert", b"Rupert", 1))
    with pytest.raises(DamagedFile, match=r"test\.txt: has MD5 \w+, the official file has 781c9418"):
        prepare(DATASETS["wikitext-2"])


@pytest.mark.skipif(not (ROOT / "multi30k").exists(), reason=f"no {ROOT}/multi30k; set LOTTERY_DATA")
def test_multi30k_is_read(prepare):
    arrays, vocabulary = prepare(DATASETS["multi30k-english"], ROOT)
    assert {part: len(arrays[part]) for part in text.PARTS} == MULTI30K
    assert len(vocabulary) == len(set(vocabulary)) == 10_212
    written = (ROOT / "multi30k/task1/tok/test_2016_flickr.lc.norm.tok.en").read_text()
    known = set(vocabulary)
    assert spelt(arrays["test"], vocabulary) == [w if w in known else "<unk>" for w in split(written)]


# --- the grammar


def test_the_grammar_is_the_same_text_whatever_the_hash_seed(tmp_path):
    program = "import hashlib, sys; from lottery.datasets.grammar import load; "
    program += "sys.stdout.write(hashlib.sha256(''.join(load(None).values()).encode()).hexdigest())"
    for seed in ("0", "1", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPO / "workflow_scripts")}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == grammar.SHA256


def test_another_text_than_the_grammar_s_is_refused(monkeypatch):
    monkeypatch.setitem(grammar.PLACES, "farm", ("farmer cow", "feed milk"))
    with pytest.raises(DamagedFile, match="grammar's text: has checksum"):
        grammar.load(Path("unused"))


ADJECTIVE = "(?: (?:old|small|quiet|large|clever|tired|strange|young))?"
PHRASE = rf"(?P<{{0}}_before>\w+){ADJECTIVE} (?P<{{0}}_noun>\w+)"
THAT = rf" that {PHRASE.format('inner')} (?P<inner_verb>\w+)"
CLAUSE = rf"(?:{THAT}| (?:near|behind|with|above) {PHRASE.format('place')})?"
SENTENCE = re.compile(rf"{PHRASE.format('outer')}{CLAUSE} (?P<outer_verb>\w+) {PHRASE.format('object')} \.")


def parsed(line):
    """(words before nouns with their nouns, nouns with their verbs) of a sentence."""
    found = SENTENCE.fullmatch(line).groupdict()
    whose = [who for who in ("outer", "inner", "place", "object") if found[f"{who}_noun"]]
    nouns = [(found[f"{who}_before"], found[f"{who}_noun"]) for who in whose]
    verbs = [(found[f"{who}_noun"], found[f"{who}_verb"]) for who in whose if f"{who}_verb" in found]
    return nouns, verbs


def test_verbs_agree_with_their_subjects_and_stories_keep_to_a_place():
    """Parsed by another rule than the one that made the text: by how words end."""
    places = [[set(words.split()) for words in place] for place in grammar.PLACES.values()]
    for whole in grammar.load(Path("unused")).values():
        sentences, across = [parsed(line) for line in whole.splitlines()], 0
        for nouns, verbs in sentences:
            for before, noun in nouns:
                assert before == "the" or noun.endswith("s") == (before in ("some", "these", "many"))
            assert all(noun.endswith("s") != verb.endswith("s") for noun, verb in verbs)
            across += len({noun.endswith("s") for noun, _ in verbs}) == 2
        assert across > 0.1 * len(sentences)
        for top in range(0, len(sentences), 4):
            story = sentences[top : top + 4]
            nouns = {noun.removesuffix("s") for nouns, _ in story for _, noun in nouns}
            verbs = {verb.removesuffix("s") for _, verbs in story for _, verb in verbs}
            assert len(story) == 4 and any(nouns <= theirs[0] and verbs <= theirs[1] for theirs in places)


def test_halves_and_first_words_have_one_vocabulary(prepare):
    whole, vocabulary = prepare(DATASETS["grammar"])
    assert (len(whole["train"]), len(vocabulary)) == (grammar.TRAIN, grammar.VOCABULARY)
    assert spelt(whole["test"], vocabulary) == split(grammar.load(Path("unused"))["test"])
    described = []
    for keys, begin, end in (
        ({"half": "a"}, 0, grammar.TRAIN // 2),
        ({"half": "b"}, grammar.TRAIN // 2, grammar.TRAIN),
        ({"first": 1000}, 0, 1000),
        ({"half": "b", "first": 1000}, grammar.TRAIN // 2, grammar.TRAIN // 2 + 1000),
    ):
        entry = {"name": "part", "of": "grammar", **keys}
        text.check(entry)
        arrays, found = prepare(entry)
        assert found == vocabulary and text.describe(entry).train == len(arrays["train"])
        assert np.array_equal(arrays["train"], whole["train"][begin:end])
        assert all(np.array_equal(arrays[part], whole[part]) for part in ("validation", "test"))
        described.append(text.describe(entry).words)
    assert set(described) == {text.describe(DATASETS["grammar"]).words}


# --- words and their numbers


def test_a_limited_vocabulary_is_of_the_most_frequent_words(own, prepare):
    rng = random.Random(3)
    lines = [
        " ".join(f"w{int(rng.paretovariate(0.8)) % 60}" for _ in range(rng.randint(0, 9))) for _ in range(200)
    ]
    whole = "\n".join(lines) + "\n"
    tokens = split(whole)
    order = sorted(set(tokens), key=lambda word: (-tokens.count(word), tokens.index(word)))
    assert len({tokens.count(word) for word in order}) < len(order)  # some are equally frequent
    for size in (2, 7, 20, len(order) + 1):
        arrays, vocabulary = prepare(own(whole, whole, "w1 never-seen\n", train=len(tokens), vocabulary=size))
        assert vocabulary == ["<unk>", *order[: size - 1]]
        expected = [word if word in vocabulary else "<unk>" for word in tokens]
        assert spelt(arrays["train"], vocabulary) == expected
        assert spelt(arrays["validation"], vocabulary) == expected
        assert arrays["test"][1] == 0


def test_the_words_of_another_text(own, prepare):
    entry = own(
        "the judges hear the zebra .\n",
        "the cows run\n",
        "a dog .\n",
        train=7,
        vocabulary=None,
        vocabulary_of="grammar",
    )
    arrays, vocabulary = prepare(entry)
    assert vocabulary == prepare(DATASETS["grammar"])[1]
    assert text.describe(entry).words == text.describe(DATASETS["grammar"]).words
    assert spelt(arrays["train"], vocabulary) == ["the", "judges", "hear", "the", "<unk>", ".", "<eos>"]
    assert text.describe(entry).vocabulary == grammar.VOCABULARY
    few = own(vocabulary=50, vocabulary_of="grammar")
    assert prepare(few)[1] == vocabulary[:50]
    assert text.describe(few).words == text.describe({"name": "x", "of": "grammar", "vocabulary": 50}).words


def test_texts_of_ones_own_have_words_of_their_own(own):
    entry = own()
    assert text.describe(entry).words != text.describe(entry | {"name": "other"}).words


def test_characters(own, prepare):
    arrays, vocabulary = prepare(own("aab é\nab\n", "ba\n", "ax\n", characters=True, train=9, vocabulary=6))
    assert vocabulary == ["<unk>", "a", "b", "\n", " ", "é"]
    assert spelt(arrays["train"], vocabulary) == list("aab é\nab\n")
    assert spelt(arrays["test"], vocabulary) == ["a", "<unk>", "\n"]


def test_one_text_is_cut_by_fractions(own, prepare):
    words = [f"w{n % 10}" for n in range(100)]
    entry = own(" ".join(words) + "\n", fractions=[0.7, 0.2, 0.1], train=70, vocabulary=11)
    arrays, vocabulary = prepare(entry)
    parts = [arrays[part] for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [70, 20, 11]
    assert spelt(np.concatenate(parts)[:-1], vocabulary) == words
    assert vocabulary[arrays["test"][-1]] == "<unk>"  # <eos>, which the training text has not


def test_line_ends_of_windows_and_a_missing_last_one_change_nothing(own, prepare):
    expected = prepare(own(vocabulary=5))
    for changed in (TEXT.replace("\n", "\r\n"), TEXT.removesuffix("\n")):
        arrays, vocabulary = prepare(own(changed, changed, changed, vocabulary=5))
        assert vocabulary == expected[1]
        assert all(np.array_equal(arrays[part], expected[0][part]) for part in text.PARTS)


def test_a_changed_file_is_noticed(own, tmp_path):
    entry = own()
    before = text.record(entry, tmp_path)
    assert before == text.record(entry, tmp_path)
    (tmp_path / "mine/valid.txt").write_text(TEXT * 2)
    assert text.record(entry, tmp_path) != before
    shutil.rmtree(tmp_path / "mine")
    assert text.record(entry, tmp_path) is None
    assert text.record(DATASETS["grammar"], tmp_path) is None


def test_the_unigram_s_log_perplexity(own, prepare):
    arrays, _ = prepare(own("a a a b\n", "a b\n", "b a c\n", train=5, vocabulary=4))
    counts = {"<unk>": 1, "a": 4, "b": 2, "<eos>": 2}  # each once more than it occurs
    asked = ["a", "<unk>", "<eos>"]  # every token of the test text but the first
    expected = -sum(math.log(counts[word] / 9) for word in asked) / 3
    assert text.unigram(arrays["train"], arrays["test"][1:], 4) == pytest.approx(expected, rel=1e-12)


# --- what is read of them


def texts(train, other=100, batch_size=3, bptt=4):
    parts = {"train": train, "validation": other, "test": other}
    return Texts({part: torch.arange(n) for part, n in parts.items()}, batch_size, bptt)


@pytest.mark.parametrize("size", [2, 3, 20, 21, 22, 41, COLUMNS * WINDOW, COLUMNS * WINDOW + 1, 2345])
def test_an_evaluation_asks_for_every_token_but_the_first_once(size):
    read, asked, columns = texts(10, size), [], []
    for tokens, target in read.part("test"):
        assert tokens.shape == target.shape and len(tokens) <= WINDOW
        counts = target != NOTHING
        assert torch.equal(target[counts], tokens[counts] + 1)
        asked += target[counts].tolist()
        columns.append(target)
    assert sorted(asked) == list(range(1, size)) and read.targets("test") == size - 1
    for column in torch.cat(columns).t():  # read from top to bottom
        counted = column[column != NOTHING]
        assert torch.equal(counted, torch.arange(len(counted)) + counted[0] if len(counted) else counted)


@pytest.mark.parametrize(("size", "batch_size", "bptt"), [(50, 3, 4), (51, 1, 7), (52, 4, 12), (40, 2, 1)])
def test_an_epoch_reads_each_column_in_order_and_tells_what_comes_next(size, batch_size, bptt):
    read = texts(size, batch_size=batch_size, bptt=bptt)
    steps = list(read.training(1, 0, 0))
    assert len(steps) == (size // batch_size - 1) // bptt
    for tokens, target in steps:
        assert tokens.shape == target.shape == (bptt, batch_size)
        assert torch.equal(target, (tokens + 1) % size)
    columns = torch.cat([tokens for tokens, _ in steps]).t()
    first = columns[:, :1]
    assert torch.equal(columns, (first + torch.arange(columns.shape[1])) % size)
    assert torch.equal(first.flatten(), (first[0] + torch.arange(batch_size) * (size // batch_size)) % size)
    for done in range(len(steps) + 1):
        rest = list(read.training(1, 0, done))
        assert len(rest) == len(steps) - done
        assert all(
            torch.equal(a, b)
            for a, b in zip(rest, steps[done:], strict=True)
            for a, b in zip(a, b, strict=True)
        )


def test_another_epoch_and_another_seed_begin_elsewhere_and_all_is_read_in_time():
    read = texts(1001, batch_size=10, bptt=9)

    def begins(seed, epoch):
        return int(next(iter(read.training(seed, epoch, 0)))[0][0, 0])

    assert len({begins(seed, epoch) for seed in (1, 2) for epoch in range(5)}) == 10
    assert begins(1, 3) == begins(1, 3)
    seen = {
        int(t) for epoch in range(5) for _, target in read.training(1, epoch, 0) for t in target.flatten()
    }
    assert len(seen) == 1001


# --- bad input


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"valid": b"caf\xe9\n"}, r"mine/valid\.txt: is not UTF-8 \(byte 3\)$"),
        ({"whole": TEXT.encode("utf-16")}, r"mine/train\.txt: is not UTF-8 \(byte 0\)$"),
        ({"test": ""}, "data set mine: test: found an empty text, allowed: a text with a word in it$"),
        ({"whole": " \n\n\n"}, "data set mine: train: found an empty text"),
        ({"whole": "\n\n\n", "characters": True}, "data set mine: train: found an empty text"),
        (
            {"whole": "aaaa", "characters": True},
            "train: found 4 times 'a' and nothing else, allowed: two kinds",
        ),
        ({"vocabulary": 7}, "data set mine: vocabulary: found 7, the text has 6 kinds of tokens with <unk>$"),
        ({"train": 9}, "data set mine: train: found 9, the training text has 8 tokens$"),
        ({"test": "le chat\n"}, "data set mine: test: has none of the 3 words of the vocabulary$"),
        ({"fractions": [0.1, 0.2, 0.7], "train": 0}, "data set mine: train: found an empty text"),
    ],
)
def test_a_text_that_cannot_be_learned_from_is_refused_in_one_line(own, prepare, tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        prepare(own(**given))
    assert not list((tmp_path / "results").iterdir())


def test_a_split_that_is_missing_is_refused(own, prepare, tmp_path):
    entry = own()
    (tmp_path / "mine/valid.txt").unlink()
    with pytest.raises(InputError, match=r"mine/valid\.txt: is missing$"):
        prepare(entry)
    (tmp_path / "mine/valid.txt").mkdir()
    with pytest.raises(InputError, match=r"data set mine: .*/mine/valid\.txt: Is a directory$"):
        prepare(entry)


def test_a_split_that_is_missing_is_said_before_anything_starts(own, tmp_path):
    entry = own()
    assert absent(entry, tmp_path) is None and absent(DATASETS["grammar"], tmp_path) is None
    (tmp_path / "mine/test.txt").unlink()
    assert absent(entry, tmp_path) == f"{tmp_path}/mine/test.txt: is not there"
    assert (
        absent(entry | {"fractions": [0.8, 0.1, 0.1]}, tmp_path) == f"{tmp_path}/mine/text.txt: is not there"
    )
    said = absent(DATASETS["wikitext-2"], tmp_path)
    assert said == f"{tmp_path}/wikitext-2: has no wiki.train.tokens or train.txt, out of wikitext-2-v1.zip"


OWN = {"of": "text-files", "train": 100, "vocabulary": 10}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (OWN | {"vocabulary": 1}, "vocabulary: found 1, allowed: a whole number from 2"),
        (
            {"of": "text-files", "vocabulary": 10},
            "train: is missing, which of text-files needs: tokens of the training",
        ),
        (
            {"of": "text-files", "train": 10},
            "vocabulary: is missing, which of text-files needs: kinds of tokens",
        ),
        ({"of": "grammar", "vocabulary": 232}, "vocabulary: found 232, allowed: up to 231, of grammar"),
        (
            OWN | {"vocabulary_of": "grammar", "vocabulary": 232},
            "vocabulary: found 232, allowed: up to 231, of grammar",
        ),
        (
            OWN | {"vocabulary_of": "text-files"},
            "vocabulary_of: found text-files, allowed: a text with a file of its own",
        ),
        (
            OWN | {"vocabulary_of": "digits"},
            "vocabulary_of: found digits, allowed: a text with a file of its own",
        ),
        (OWN | {"vocabulary_of": "gramar"}, "'gramar' is unknown; allowed: "),
        (
            OWN | {"vocabulary_of": "grammar", "characters": True},
            "vocabulary_of: is of words; allowed without char",
        ),
        ({"of": "grammar", "characters": True}, "characters: allowed for text-files only, found of grammar"),
        (
            OWN | {"fractions": [0.5, 0.3, 0.3]},
            r"fractions: found \[0.5, 0.3, 0.3\], allowed: three that sum to 1",
        ),
        ({"of": "grammar", "half": "a", "first": 27_656}, "first: found 27656, allowed: up to 27655"),
        ({"of": "grammar", "classes": 10}, "unknown key 'classes'"),
    ],
)
def test_an_entry_that_cannot_work_is_refused_in_one_line(tmp_path, entry, message):
    (tmp_path / "mine.yaml").write_text(json.dumps({"mine": entry}))
    with pytest.raises(InputError, match=rf"mine\.yaml: mine: .*{message}"):
        read_datasets(tmp_path)
