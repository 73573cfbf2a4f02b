"""The pieces of a study's analyses: what one job reads, where it puts what it found, what decides that."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import RESULTS_VERSION, addresses
from .addresses import Place, file, files
from .analysis import MASK, START, WEIGHTS, Analysis, analysis
from .schemas import Entry
from .study import Curve, settings_of_run
from .tickets import DENSE_REWOUND, RANDOM

Asked = Mapping[str, Any]  # Study.asked()


@dataclass(frozen=True)
class Piece:
    """One job of an analysis: of a curve's run at one seed and level, and those that it goes with.

    entry: the study's, of the analysis
    """

    entry: Mapping[str, Any]
    curve: Curve
    seed: int
    level: int

    @property
    def module(self) -> Analysis:
        return analysis(self.entry["analysis"])

    @property
    def options(self) -> Entry:
        return {key: self.entry[key] for key in self.module.OPTIONS}

    @property
    def address(self) -> str:
        """That of the run, but for a dense one that goes with levels of a lineage: it is then one of that."""
        run, curve = self.curve.run(self.seed, self.level), self.curve
        of_lineage = not all(other.is_dense(level) for other, level in self.runs().values())
        if curve.is_dense(self.level) and of_lineage:
            copy = addresses.copy_of(curve.copy)
            run = addresses.lineage(curve.task, curve.recipe, self.seed, self.level, copy)
        return addresses.analysis(self.entry["analysis"], self.options, run)

    def runs(self) -> dict[str, tuple[Curve, int]]:
        """Name -> (curve, level) of each run that it reads."""
        asked = self.module.runs(self.level, self.curve.copy)
        return {name: (replace(self.curve, copy=copy), level) for name, (level, copy) in asked.items()}

    def settings(self, asked: Asked) -> Entry:
        """What decides its result, as plain values: the `params` of its rule."""
        return {
            "version": RESULTS_VERSION,
            "analysis": self.entry["analysis"],
            "options": self.options,
            "task": asked["tasks"][self.curve.task],
            "runs": {
                name: settings_of_run(asked, curve, self.seed, level)
                for name, (curve, level) in self.runs().items()
            },
        }

    def inputs(self, asked: Asked) -> dict[str, str]:
        """What it reads beside the data, under names such as `first/weights`."""
        return {
            f"{name}/{key}": path
            for name, (curve, level) in self.runs().items()
            for key, path in _inputs(asked, curve, self.seed, level, self.module.READS).items()
        }


def pieces(asked: Asked, entry: Mapping[str, Any]) -> Iterator[Piece]:
    """All jobs of an analysis that a study asks for."""
    curves = {one["name"]: Curve(**{**one, "levels": tuple(one["levels"])}) for one in asked["curves"]}
    for name in entry["curves"]:
        for seed in asked["seeds"]:
            for level in entry["measured"][name]:
                yield Piece(entry, curves[name], seed, level)


def _inputs(asked: Asked, curve: Curve, seed: int, level: int, reads: tuple[str, ...]) -> dict[str, str]:
    """Files of a run, and of what it started from."""
    run, found = curve.run(seed, level), addresses.init_inputs(curve.task, seed)
    found["metrics"] = file(run, "metrics")
    if WEIGHTS in reads:
        found |= files(run, "weights") if curve.is_dense(level) else files(run, "weights", "weights_record")
    started = {MASK, START} & set(reads)
    if not started or curve.is_dense(level) or curve.ticket == RANDOM:
        return found
    recipe = asked["recipes"][curve.recipe]
    if START in started and curve.own:
        return found | addresses.level_inputs(curve.task, curve.recipe, recipe, seed, level)
    if START in started:
        return found | addresses.ticket_inputs(curve.source, curve.recipe, recipe, seed, level)
    if curve.ticket == DENSE_REWOUND:
        return found
    return found | addresses.mask_inputs(curve.source, curve.recipe, seed, level)


def started(asked: Asked, curve: Curve, seed: int, level: int) -> Place:
    """The weights that a curve's run began with, or was made from; a random ticket was made from none."""
    if curve.is_dense(level):
        return addresses.rewound(curve.source, seed, "init")
    recipe = asked["recipes"][curve.recipe]
    if curve.own:
        return addresses.origin(curve.task, curve.recipe, recipe, seed, level).start
    return addresses.rewound(curve.source, seed, recipe["rewind"]["weights"])
