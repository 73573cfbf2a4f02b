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
from .analysis import MASK, START, WEIGHTS
from .errors import InputError
from .files import write_text
from .pieces import Piece, pieces, started
from .study import Curve, of_level, pruning_settings, scoring_settings, settings_of_run, training_settings
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


def strays_of_analysis(asked: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Strays]:
    """Address -> what is wrong with it, for all jobs of an analysis that a study asks for."""
    asked, entry = json.loads(json.dumps([asked, entry]))
    files = _Files(asked)
    return {piece.address: files.piece(piece) for piece in pieces(asked, entry)}


def refuse_strays(
    found: Mapping[str, Strays], listed: Path, anew: Callable[[str], str], what: str = "runs"
) -> None:
    """Raise InputError unless all files are the study's; `listed` then names those to make again, `anew` the
    command that does."""
    listed.unlink(missing_ok=True)
    bad = sum(map(bool, found.values()))
    every = list(dict.fromkeys(stray for several in found.values() for stray in several))
    if not every:
        return
    again = list(dict.fromkeys(stray.again for stray in every))
    named = again[0]
    if len(again) > 1:
        write_text(listed, "\n".join(again) + "\n")
        named = f"$(cat {listed})"
    raise InputError(
        f"{every[0].said}; {bad} of the study's {len(found)} {what} are not as asked, or made from such; "
        f"to make them again: {anew(named)}"
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
        run = curve.run(seed, level)
        found = self._training(run, settings_of_run(self.asked, curve, seed, level))
        if curve.ticket == RANDOM:
            return found
        rewind = self.asked["recipes"][curve.recipe]["rewind"]
        start = addresses.rewound(curve.source, seed, rewind["weights"])
        found += self._optimizer(run, curve.source, seed, rewind)
        if level == 0:
            return self.dense(curve.source, seed, 0) + found + self._start(run, start)
        return found + self._ticket(run, start, curve.source, curve.recipe, seed, level)

    def piece(self, piece: Piece) -> Strays:
        """Of a job of an analysis, which has looked at the files that its runs have now."""
        found = self._settings(piece.address, "settings", piece.settings(self.asked))
        task = self.asked["tasks"][piece.curve.task]
        if "dataset" in task:
            record = addresses.data_record(task["dataset"]["name"])
            found += self._agree(piece.address, ("made_from", "data"), record, ("sha256",))
        for name, (curve, level) in piece.runs().items():
            found += self._analysed(piece, name, curve, level)
        return found

    def _analysed(self, piece: Piece, name: str, curve: Curve, level: int) -> Strays:
        found, run, reads = Strays(), curve.run(piece.seed, level), piece.module.READS
        if WEIGHTS in reads:
            found += self._weights(piece.address, ("made_from", name, WEIGHTS), run)
        if level and curve.ticket != RANDOM and (MASK in reads or START in reads):
            mask = file(addresses.lineage(curve.source, curve.recipe, piece.seed, level), "pruning")
            found += self._agree(piece.address, ("made_from", name, MASK), mask, ("mask_sha256",))
        if START in reads and curve.ticket != RANDOM:
            begun = _record_of(started(self.asked, curve, piece.seed, level))
            found += self._agree(piece.address, ("made_from", name, START), *begun)
        return found

    def _weights(self, path: str, keys: Keys, run: str) -> Strays:
        """Final weights: those of a dense run, or those kept of a ticket, which are those it ended with."""
        metrics, kept = file(run, "metrics"), file(run, "weights_record")
        if addresses.kind(run) == "dense":
            return self._agree(path, keys, metrics, ("made", "weights"))
        found = self._agree(path, keys, kept, ("weights_sha256",))
        if _at(self.read(metrics), ("made", "weights")) is None:
            return found  # of a ticket from before these were recorded
        return found + self._agree(kept, ("weights_sha256",), metrics, ("made", "weights"))

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
