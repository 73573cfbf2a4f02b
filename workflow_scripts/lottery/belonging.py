"""Whether the files of a study's runs are those it asks for and belong together, whatever Snakemake believes.

Read are the small JSON files alone: each tells its settings and the checksums of what it was made from.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from . import addresses
from .addresses import FILES, Place, copy_of, file
from .errors import InputError
from .files import write_text
from .study import (
    Curve,
    of_level,
    of_random,
    of_ticket,
    pruning_settings,
    scoring_settings,
    training_settings,
)
from .tickets import RANDOM, WINNING

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Stray:
    """What is wrong with a file, and the file that has to be made again to put it right."""

    said: str
    again: str


Strays = tuple[Stray, ...]


def strays(asked: Mapping[str, Any]) -> dict[str, Strays]:
    """Run -> what is wrong with its files or those it is made from, for all runs that a study asks for."""
    asked = json.loads(json.dumps(asked))  # as the files have it
    files = _Files(asked)
    return {
        curve.run(seed, level): files.of(curve, seed, level)
        for curve in (Curve(**entry) for entry in asked["curves"])
        for seed in asked["seeds"]
        for level in curve.levels
    }


def refuse_strays(asked: Mapping[str, Any], listed: Path, anew: Callable[[str], str]) -> None:
    """Raise InputError unless all files are the study's; `listed` then names those to make again, `anew` the
    command that does."""
    listed.unlink(missing_ok=True)
    found = strays(asked)
    bad = sum(map(bool, found.values()))
    every = list(dict.fromkeys(stray for several in found.values() for stray in several))
    if not every:
        return
    again = list(dict.fromkeys(stray.again for stray in every))
    what = again[0]
    if len(again) > 1:
        write_text(listed, "\n".join(again) + "\n")
        what = f"$(cat {listed})"
    raise InputError(
        f"{every[0].said}; {bad} of the study's {len(found)} runs are not as asked, or made from such; "
        f"to make them again: {anew(what)}"
    )


class _Files:
    """What is wrong with each file and with those it is made from; each is looked at once."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.asked = asked
        self.read, self.data, self.dense = cache(self._read), cache(self._data), cache(self._dense)
        self.mask, self.level = cache(self._mask), cache(self._level)

    def of(self, curve: Curve, seed: int, level: int) -> Strays:
        if curve.is_dense(level):
            return self.dense(curve.source, seed, curve.copy)
        if curve.own:
            return self.level(curve.task, curve.recipe, seed, level, curve.copy)
        run, task = curve.run(seed, level), self.asked["tasks"][curve.task]
        if curve.ticket == RANDOM:
            more = of_random(self.asked["ladders"][curve.ladder])
        else:
            more = of_ticket(curve.source, curve.recipe, self.asked["recipes"][curve.recipe])
        settings = training_settings(task, seed, level, curve.ticket, curve.copy, **more)
        found = self._training(run, settings)
        if curve.ticket == RANDOM:
            return found
        start = addresses.rewound(curve.source, seed, more["rewind"]["weights"])
        found += self._optimizer(run, curve.source, seed, more["rewind"])
        if level == 0:
            return self.dense(curve.source, seed, 0) + found + self._start(run, start)
        return found + self._ticket(run, start, curve.source, curve.recipe, seed, level)

    def _dense(self, task: str, seed: int, copy: int) -> Strays:
        run = addresses.dense(task, seed, copy_of(copy))
        settings = training_settings(self.asked["tasks"][task], seed, 0, "dense", copy)
        return self._training(run, settings) + self._start(run, addresses.rewound(task, seed, "init"))

    def _level(self, task: str, recipe: str, seed: int, level: int, copy: int) -> Strays:
        run, entry = (
            addresses.lineage(task, recipe, seed, level, copy_of(copy)),
            self.asked["recipes"][recipe],
        )
        more = of_level(recipe, entry)
        settings = training_settings(self.asked["tasks"][task], seed, level, WINNING, copy, **more)
        start = addresses.origin(task, recipe, entry, seed, level).start
        found = self._training(run, settings) + self._ticket(run, start, task, recipe, seed, level)
        return found + self._optimizer(run, task, seed, entry["rewind"])

    def _mask(self, task: str, recipe: str, seed: int, level: int) -> Strays:
        entry = self.asked["recipes"][recipe]
        made = addresses.origin(task, recipe, entry, seed, level)
        path = file(addresses.lineage(task, recipe, seed, level), "pruning")
        if made.trained is None:
            trained = self.dense(task, seed, 0) if made.start.point else ()
            settings = scoring_settings(self.asked["tasks"][task], recipe, entry, seed, level)
            found = self._settings(path, "settings", settings) + self._data_of(path, settings["task"])
            return trained + found + self._agree(path, ("made_from", "start"), *_record_of(made.start))
        found = self._settings(path, "settings", pruning_settings(task, recipe, entry, seed, level))
        found += self._agree(
            path, ("made_from", "weights"), file(made.trained, "metrics"), ("made", "weights")
        )
        found += self._agree(path, ("made_from", "began"), *_record_of(made.began))
        if made.before is None:
            return self.dense(task, seed, 0) + found
        before = file(made.before, "pruning")
        found += self._agree(path, ("made_from", "mask"), before, ("mask_sha256",))
        return self.level(task, recipe, seed, level - 1, 0) + found

    def _training(self, run: str, settings: Mapping[str, Any]) -> Strays:
        """What is wrong with the settings, data and chance of a training."""
        task, path = settings["task"], file(run, "metrics")
        found = self._settings(path, "settings", settings)
        found += self._agree(path, ("chance",), addresses.chance(task["name"]), ("value",))
        return found + self._data_of(path, task)

    def _data_of(self, path: str, task: Mapping[str, Any]) -> Strays:
        """What is wrong with the data that a file is made from."""
        if "dataset" not in task:
            return ()
        record = addresses.data_record(task["dataset"]["name"])
        return self.data(task["name"]) + self._agree(path, ("made_from", "data"), record, ("sha256",))

    def _data(self, task: str) -> Strays:
        dataset = self.asked["tasks"][task]["dataset"]
        return self._settings(addresses.data_record(dataset["name"]), "dataset", dataset)

    def _ticket(self, run: str, start: Place, source: str, recipe: str, seed: int, level: int) -> Strays:
        """What is wrong with the mask and the starting weights of a ticket."""
        mask = file(addresses.lineage(source, recipe, seed, level), "pruning")
        found = self._agree(file(run, "metrics"), ("made_from", "mask"), mask, ("mask_sha256",))
        return self.mask(source, recipe, seed, level) + self._start(run, start) + found

    def _optimizer(self, run: str, source: str, seed: int, rewind: Mapping[str, str]) -> Strays:
        if rewind["optimizer"] != "rewound":
            return ()
        kept = file(addresses.dense(source, seed), "optimizer_record")
        return self._agree(file(run, "metrics"), ("made_from", "optimizer"), kept, ("optimizer_sha256",))

    def _start(self, run: str, start: Place) -> Strays:
        record, keys = _record_of(start)
        found = self._agree(file(run, "metrics"), ("made_from", "start"), record, keys)
        if Path(start.file).name == FILES["weights"] and addresses.kind(start.file) == "lineage":
            kept = str(Path(start.file).with_name(FILES["weights_record"]))
            found += self._agree(kept, ("weights_sha256",), record, keys)
        return found

    def _settings(self, path: str, key: str, asked: Mapping[str, Any]) -> Strays:
        """Whether a file was made as the study asks."""
        content = self.read(path)
        if isinstance(content, Stray):
            return (content,)
        if content.get(key) == asked:
            return ()
        where, found, wanted = _difference(content.get(key), asked, key)
        return (Stray(f"{path}: {where}: found {found}, the study asks for {wanted}", path),)

    def _agree(self, path: str, keys: Keys, made: str, made_keys: Keys) -> Strays:
        """Whether what a file says of what it was made from is what that says of itself."""
        contents = self.read(path), self.read(made)
        if strays := tuple(content for content in contents if isinstance(content, Stray)):
            return strays
        found, wanted = _at(contents[0], keys), _at(contents[1], made_keys)
        if found is not None and found == wanted:
            return ()
        said = f"{path}: {'.'.join(keys)}: found {_short(found)}, {made} has {_short(wanted)}"
        return (Stray(f"{said}: these files do not belong together", made),)

    def _read(self, path: str) -> Any:
        """The content of a file; a stray if there is none."""
        try:
            content = json.loads(Path(path).read_text())
        except FileNotFoundError:
            return Stray(f"{path}: is missing", path)
        except ValueError:
            content = None
        return content if isinstance(content, dict) else Stray(f"{path}: is damaged", path)


def _record_of(place: Place) -> tuple[str, Keys]:
    """The file that has the checksum of weights, and where in it."""
    run, _, name = place.file.rpartition("/")
    if name == FILES["init"]:
        return file(run, "init_record"), ("weights_sha256",)
    return file(run, "metrics"), ("made", place.point or "weights")


def _at(content: Any, keys: Keys) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _short(value: Any) -> str:
    return "nothing" if value is None else str(value)[:16]


def _difference(found: Any, asked: Any, where: str) -> tuple[str, str, str]:
    """The first key, dotted, in which two entries differ, and its two values."""
    if isinstance(found, dict) and isinstance(asked, Mapping):
        for key in [*asked, *(key for key in found if key not in asked)]:
            if key not in found or key not in asked or found[key] != asked[key]:
                return _difference(found.get(key), asked.get(key), f"{where}.{key}")
    return where, json.dumps(found), json.dumps(asked)
