"""A study: the curves it asks for, the runs they need, and the address of each run.

A run is named by what it is: the dense run by task and seed; a lineage's levels by task, recipe and
seed; a ticket made from a lineage's mask also by what it is trained on; the random ticket by target,
pruning ladder and seed, whatever the source. So every curve, figure and study shares its runs.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import RESULTS_VERSION, plugins
from .config import Entry, lookup, read_recipes, read_tasks, read_yaml, validate
from .errors import InputError
from .tickets import RANDOM, WINNING

RESULTS = "results"
PRUNING_KEYS = ("scope", "criterion", "rate", "rates", "iterative", "roles", "output", "exclude")
LADDER_KEYS = ("scope", "rate", "rates", "roles", "output", "exclude")


@dataclass(frozen=True)
class Curve:
    """Tickets of one kind over levels and seeds; `task` is the target, `source` made the masks."""

    name: str
    label: str
    task: str
    source: str
    recipe: str
    ticket: str

    @property
    def own(self) -> bool:
        """Whether the runs are the lineage's own levels."""
        return self.ticket == WINNING and self.source == self.task


@dataclass(frozen=True)
class Study:
    """A validated study with all tasks and recipes it may name."""

    name: str
    seeds: list[int]
    levels: int
    evaluate: list[int]
    keep_weights: bool
    curves: dict[str, Curve]
    figures: dict[str, Entry]
    tasks: dict[str, Entry]
    recipes: dict[str, Entry]

    def levels_of(self, curve: Curve) -> list[int]:
        """A lineage has all its levels, the dense run as level 0; other tickets those evaluated."""
        return list(range(self.levels + 1)) if curve.own else self.evaluate

    def runs(self, curve: Curve) -> Iterator[tuple[int, int, str]]:
        """(seed, level, directory) of every run of a curve."""
        for seed in self.seeds:
            for level in self.levels_of(curve):
                yield seed, level, self.directory(curve, seed, level)

    def directory(self, curve: Curve, seed: int, level: int) -> str:
        """Where a run's files are."""
        if level == 0:
            return dense(curve.source, seed)
        if curve.ticket == RANDOM:
            return random(curve.task, ladder(self.recipes[curve.recipe]), seed, level)
        if curve.own:
            return lineage(curve.task, curve.recipe, seed, level)
        return ticket(curve.task, curve.source, curve.recipe, curve.ticket, seed, level)

    def next_masks(self) -> list[str]:
        """The masks one level further of iterative lineages: with them a level can be added later,
        when the last weights are gone."""
        lineages = {
            (curve.source, curve.recipe)
            for curve in self.curves.values()
            if curve.ticket != RANDOM and self.recipes[curve.recipe]["iterative"]
        }
        last = self.levels if any(curve.own for curve in self.curves.values()) else max(self.evaluate)
        return [
            f"{lineage(task, recipe, seed, last + 1)}/pruning.json"
            for task, recipe in sorted(lineages)
            for seed in self.seeds
        ]

    def rows(self) -> list[Entry]:
        """What the tables say of each run, but for what the run itself found."""
        return [
            {
                "curve": curve.name,
                "target": curve.task,
                "source": curve.source,
                "recipe": curve.recipe,
                "ladder": ladder(self.recipes[curve.recipe]),
                "ticket": curve.ticket,
                "seed": seed,
                "level": level,
                "run": run,
            }
            for curve in self.curves.values()
            for seed, level, run in self.runs(curve)
        ]

    def curve_files(self, name: str) -> list[str]:
        """The training curves that a figure of kind `learning` draws."""
        figure = self.figures[name]
        if figure["kind"] != "learning":
            return []
        return [
            f"{run}/curve.csv"
            for curve in figure["curves"]
            for _, level, run in self.runs(self.curves[curve])
            if level in figure["levels"]
        ]

    def legend(self, name: str) -> dict[str, tuple[str, int]]:
        """A figure's curves: name -> label, and the curve's number in the study, which decides its colour."""
        numbers = {curve: number for number, curve in enumerate(self.curves)}
        return {curve: (self.curves[curve].label, numbers[curve]) for curve in self.figures[name]["curves"]}

    def settings(self, task: str, seed: int, level: int, ticket: str, **more: Any) -> Entry:
        """What decides a training's result, as plain values: the rule's `params`."""
        return {
            "version": RESULTS_VERSION,
            "task": self.tasks[task],
            "seed": seed,
            "level": level,
            "ticket": ticket,
            **more,
        }


def dense(task: str, seed: int | str) -> str:
    return f"{RESULTS}/dense/{task}/seed{seed}"


def lineage(task: str, recipe: str, seed: int | str, level: int) -> str:
    return f"{RESULTS}/lineage/{task}/{recipe}/seed{seed}/level{level:02d}"


def ticket(task: str, source: str, recipe: str, kind: str, seed: int | str, level: int) -> str:
    return f"{RESULTS}/ticket/{task}/{source}/{recipe}/{kind}/seed{seed}/level{level:02d}"


def random(task: str, ladder_name: str, seed: int | str, level: int) -> str:
    return f"{RESULTS}/random/{task}/{ladder_name}/seed{seed}/level{level:02d}"


def ladder(recipe: Mapping[str, Any]) -> str:
    """A readable name of how many weights each level keeps: `global-weight-p0.2`.

    Recipes of one ladder share their random tickets.
    """
    parts = [recipe["scope"], "+".join(sorted(recipe["roles"]))]
    parts += [] if recipe["output"] else ["no-output"]
    parts += [f"no-{pattern}" for pattern in recipe["exclude"]]
    parts += [f"p{recipe['rate']}", *(f"{name}-p{rate}" for name, rate in recipe["rates"].items())]
    return "-".join(parts).replace("*", "ANY").replace("/", "_")


def pruning_of(recipe: Mapping[str, Any]) -> Entry:
    """The part of a recipe that decides masks."""
    return {key: recipe[key] for key in PRUNING_KEYS}


def ladders(recipes: Mapping[str, Entry]) -> dict[str, Entry]:
    """Ladder name -> what decides its counts, for every recipe there is."""
    return {ladder(recipe): {key: recipe[key] for key in LADDER_KEYS} for recipe in recipes.values()}


def read_study(config: Mapping[str, Any], folder: Path) -> Study:
    """The study in `config`, with the tasks and recipes under `folder`. Raises InputError."""
    schemas = folder / "schemas"
    tasks = read_tasks(folder / "tasks")
    recipes = read_recipes(folder / "recipes", read_yaml(schemas / "recipe.schema.yaml"))
    entry = validate(dict(config), read_yaml(schemas / "study.schema.yaml"), f"study {config.get('study')}")
    where = f"study {entry['study']}"
    for kind in ("curves", "figures"):
        repeated = [name for name, n in Counter(item["name"] for item in entry[kind]).items() if n > 1]
        if repeated:
            raise InputError(f"{where}: {kind}: the name '{repeated[0]}' is there twice")
    curves = {}
    for item in entry["curves"]:
        curve = Curve(**{"label": item["name"], "source": item["task"], **item})
        _check_curve(curve, tasks, recipes, f"{where}: curve {curve.name}")
        curves[curve.name] = curve
    evaluate = sorted(entry.get("evaluate", range(1, entry["levels"] + 1)))
    _check_levels(evaluate, entry["levels"], f"{where}: evaluate")
    for figure in entry["figures"]:
        for name in figure["curves"]:
            lookup("curve", name, curves, f"{where}: figure {figure['name']}")
        _check_levels(figure.get("levels", []), entry["levels"], f"{where}: figure {figure['name']}: levels")
    return Study(
        name=entry["study"],
        seeds=entry["seeds"],
        levels=entry["levels"],
        evaluate=evaluate,
        keep_weights=entry["keep_weights"],
        curves=curves,
        figures={figure["name"]: figure for figure in entry["figures"]},
        tasks=tasks,
        recipes=recipes,
    )


def _check_levels(levels: list[int], last: int, where: str) -> None:
    outside = [level for level in levels if level > last]
    if outside:
        raise InputError(f"{where}: found level {outside[0]}, allowed: up to the study's levels, {last}")


def _check_curve(curve: Curve, tasks: Mapping[str, Entry], recipes: Mapping[str, Entry], where: str) -> None:
    target = lookup("task", curve.task, tasks, where)
    source = lookup("source", curve.source, tasks, where)
    recipe = lookup("recipe", curve.recipe, recipes, where)
    rewind = recipe["rewind"]
    kept = ["init", *source["rewind_points"]]
    if rewind["weights"] not in (*kept, "final"):
        raise InputError(
            f"{where}: recipe {curve.recipe} rewinds to {rewind['weights']}; task {curve.source} keeps "
            f"{', '.join(kept)}: add it to the task's rewind_points"
        )
    if rewind["schedule"] not in ("start", "end"):
        family = plugins.find("tasks", target["family"])
        if family.steps(target, rewind["schedule"]) >= family.steps(target, target["length"]):
            raise InputError(
                f"{where}: recipe {curve.recipe} takes the schedule from {rewind['schedule']}, which is not "
                f"before the end of task {curve.task}, {target['length']}"
            )
    if not curve.own and curve.ticket != RANDOM:
        _check_ticket(curve, rewind, where)
    if curve.source != curve.task and curve.ticket != RANDOM:
        _check_transfer(curve, target, source, recipe, where)


def _check_ticket(curve: Curve, rewind: Mapping[str, str], where: str) -> None:
    allowed = {"weights": "a rewind point", "optimizer": "fresh"}
    for key, refused in (("weights", "final"), ("optimizer", "rewound")):
        if rewind[key] == refused:
            raise InputError(
                f"{where}: recipe {curve.recipe} has rewind.{key} {refused}; tickets other than a lineage's "
                f"own need {allowed[key]}"
            )


def _check_transfer(curve: Curve, target: Entry, source: Entry, recipe: Entry, where: str) -> None:
    if recipe["output"]:
        raise InputError(
            f"{where}: recipe {curve.recipe} prunes the output layer, which is not transferred; "
            "it needs output: false"
        )
    found = [plugins.find("tasks", task["family"]).architecture(task) for task in (source, target)]
    if source["family"] != target["family"] or found[0] != found[1]:
        raise InputError(
            f"{where}: {curve.source} and {curve.task} differ beyond the output layer: found {found[0]} "
            f"and {found[1]}"
        )
