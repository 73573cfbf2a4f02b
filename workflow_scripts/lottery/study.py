"""A study: the curves it asks for, and the runs they need, which it shares with every other study."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from . import RESULTS_VERSION, addresses, runs
from .addresses import copy_of, file
from .analysis import analysis, schema_of
from .config import read_datasets, read_recipes, read_tasks
from .criteria import SCORED
from .errors import InputError
from .files import checksum
from .pruning import Pruning, prunable_tensors
from .resources import read_resources
from .schemas import Entry, lookup, read_yaml, validate
from .sweeps import expand
from .tickets import DENSE, DENSE_REWOUND, KEPT_OUTPUT, OUTPUTS, RANDOM, WINNING

PRUNING_KEYS = ("scope", "criterion", "rate", "rates", "iterative", "roles", "output", "exclude")
NUMBERS = ("kept", "prunable", "fraction_pruned", "fraction_pruned_of_all", "chance")  # of runs.csv
KINDS = ("curves", "figures", "analyses", "claims")  # what a study asks for, by name
TAKEN = ("runs", "summary", "transfer", "layers", "tasks", "claims")  # names of tables
LADDER_KEYS = ("scope", "rate", "rates", "roles", "output", "exclude")
LONGEST = 255  # characters in a file's name, as file systems have it
UNREAD = {  # kind of figure -> keys that would change nothing in it
    "metric": ("levels",),
    "difference": ("value", "y", "levels"),
    "layers": ("x", "y", "levels"),
    "learning": ("value", "x", "y"),
    "movement": ("value", "y", "levels"),
    "matrix": ("value", "x", "y"),
}


@dataclass(frozen=True)
class Curve:
    """Tickets of one kind over levels and seeds; `task` is the target, `source` made the masks.

    levels: a lineage has all of the study's, the dense run as level 0; the dense network rewound has 0 alone;
            other tickets those evaluated
    copy:   which training of the same starts: 0, or another, which differs in data order and the like
    """

    name: str
    task: str
    source: str
    recipe: str
    ladder: str
    ticket: str
    levels: tuple[int, ...]
    copy: int = 0

    @property
    def own(self) -> bool:
        """Whether the runs are the lineage's own levels."""
        return self.ticket == WINNING and self.source == self.task

    def is_dense(self, level: int) -> bool:
        """Whether the runs of a level are the source's dense ones."""
        return level == 0 and self.ticket != DENSE_REWOUND

    def run(self, seed: int, level: int) -> str:
        """The directory of a run."""
        copy = copy_of(self.copy)
        if self.is_dense(level):
            return addresses.dense(self.source, seed, copy)
        if self.ticket == RANDOM:
            return addresses.random(self.task, self.ladder, seed, level, copy)
        if self.own:
            return addresses.lineage(self.task, self.recipe, seed, level, copy)
        return addresses.ticket(self.task, self.source, self.recipe, self.ticket, seed, level, copy)


@dataclass(frozen=True)
class Study:
    """A validated study with all tasks and recipes it may name, and what each task asks of a cluster."""

    name: str
    seeds: list[int]
    keep_weights: bool
    curves: dict[str, Curve]
    labels: dict[str, str]
    figures: dict[str, Entry]
    analyses: dict[str, Entry]
    claims: list[Entry]
    tasks: dict[str, Entry]
    recipes: dict[str, Entry]
    resources: dict[str, Entry]

    @property
    def datasets(self) -> dict[str, Entry]:
        """The data sets of all tasks, by name."""
        return {task["dataset"]["name"]: task["dataset"] for task in self.tasks.values() if "dataset" in task}

    def used(self) -> list[Entry]:
        """The data sets of the tasks that its curves name."""
        tasks = [self.tasks[name] for curve in self.curves.values() for name in (curve.task, curve.source)]
        return list({t["dataset"]["name"]: t["dataset"] for t in tasks if "dataset" in t}.values())

    def runs(self, names: Iterable[str], levels: Iterable[int] | None = None) -> list[str]:
        """The directories of all runs of some curves, or of those at some levels."""
        wanted = None if levels is None else set(levels)
        found = {
            self.curves[name].run(seed, level)
            for name in names
            for seed in self.seeds
            for level in self.curves[name].levels
            if wanted is None or level in wanted
        }
        return sorted(found)

    def next_level(self) -> list[str]:
        """What one level more of each iterative lineage is made from, so that it can be added when the
        weights it is pruned from are gone: its mask and, where training goes on from them, those weights."""
        last: dict[tuple[str, str], int] = {}
        for curve in self.curves.values():
            if curve.ticket not in (RANDOM, DENSE_REWOUND) and self.recipes[curve.recipe]["iterative"]:
                key = (curve.source, curve.recipe)
                last[key] = max((last.get(key, 0), *curve.levels))
        found = []
        for (task, recipe), level in sorted(last.items()):
            for seed in self.seeds:
                found.append(file(addresses.lineage(task, recipe, seed, level + 1), "pruning"))
                if self.recipes[recipe]["rewind"]["weights"] == "final" and level:
                    found.append(file(addresses.lineage(task, recipe, seed, level), "weights"))
        return found

    def asked(self) -> Entry:
        """What the tables are made from, as plain values."""
        curves = self.curves.values()
        used = {curve.recipe for curve in curves}, {name for c in curves for name in (c.task, c.source)}
        return {
            "study": self.name,
            "seeds": self.seeds,
            "curves": [asdict(curve) for curve in curves],
            "version": RESULTS_VERSION,
            "recipes": {name: self.recipes[name] for name in sorted(used[0])},
            "tasks": {name: self.tasks[name] for name in sorted(used[1])},
            "ladders": {c.ladder: ladders(self.recipes)[c.ladder] for c in curves if c.ticket == RANDOM},
            **({"groups": groups} if (groups := self.groups()) else {}),
        }

    @property
    def tables(self) -> list[str]:
        """The names of its tables."""
        return ["runs", "summary", "transfer", "layers", *(["tasks"] if self.groups() else [])]

    def groups(self) -> list[Entry]:
        """The groups of curves of one label in figures of kind tasks, each with what it is compared with."""
        found = []
        for name, figure in self.figures.items():
            if figure["kind"] == "tasks":
                groups = _groups(figure, self.curves, self.labels)
                for label, curves in groups.items():
                    reference = _reference(figure, label, groups)
                    against = [curve.name for curve in groups.get(reference, [])]
                    said = {"figure": name, "group": label, "reference": reference, "against": against}
                    levels = sorted(_common_levels(curves))
                    found.append({**said, "curves": [curve.name for curve in curves], "levels": levels})
        return found

    def digest(self) -> str:
        """A name for all that the tables are made from."""
        return checksum({}, self.asked())[:16]

    def drawn(self) -> dict[str, Entry]:
        """Its figures by name, those of its analyses too."""
        return {
            **self.figures,
            **{name: {**one, "kind": "analysis"} for name, one in self.analyses.items()},
        }

    def legend(self, name: str) -> dict[str, tuple[str, int]]:
        """A figure's curves: name -> label, and the label's number in the study, which decides its colour."""
        numbers = {label: number for number, label in enumerate(dict.fromkeys(self.labels.values()))}
        figure = self.drawn()[name]
        return {
            curve: (figure["labels"].get(curve, self.labels[curve]), numbers[self.labels[curve]])
            for curve in figure["curves"]
        }


def training_settings(
    task: Mapping[str, Any], seed: int, level: int, ticket: str, copy: int = 0, **more: Any
) -> Entry:
    """What decides a training's result, as plain values: the `params` of its rule."""
    settings = {
        "version": RESULTS_VERSION,
        "task": dict(task),
        "seed": seed,
        "level": level,
        "ticket": ticket,
        **more,
    }
    return settings | {"copy": copy} if copy else settings


def of_level(recipe: str, entry: Mapping[str, Any]) -> Entry:
    """What decides the result of a lineage's level beside its task, seed and level."""
    return {"recipe": recipe, "rewind": entry["rewind"]}


def of_ticket(source: str, recipe: str, entry: Mapping[str, Any]) -> Entry:
    """The same of a ticket made from a lineage's mask."""
    return {"source": source, **of_level(recipe, entry)}


def of_random(ladder: Mapping[str, Any]) -> Entry:
    """The same of a random ticket."""
    return {"pruning": ladder}


def settings_of_run(asked: Mapping[str, Any], curve: Curve, seed: int, level: int) -> Entry:
    """What decides the result of a curve's run, by what a study asks for."""
    ticket, more = curve.ticket, {}
    if curve.is_dense(level):
        task, ticket = curve.source, DENSE
    elif curve.ticket == RANDOM:
        task, more = curve.task, of_random(asked["ladders"][curve.ladder])
    else:
        task, recipe = curve.task, asked["recipes"][curve.recipe]
        named = of_level if curve.own else partial(of_ticket, curve.source)
        more = named(curve.recipe, recipe)
    return training_settings(asked["tasks"][task], seed, level, ticket, curve.copy, **more)


def pruning_settings(
    task: str, recipe: str, entry: Mapping[str, Any], seed: int, level: int
) -> dict[str, Any]:
    """What decides a level's mask, as plain values: the `params` of its rule."""
    return {
        "version": RESULTS_VERSION,
        "pruning": pruning_of(entry),
        "began": addresses.origin(task, recipe, entry, seed, level).began.point,
        "seed": seed,
        "level": level,
    }


def scoring_settings(
    task: Mapping[str, Any], recipe: str, entry: Mapping[str, Any], seed: int, level: int
) -> dict[str, Any]:
    """The same of a criterion that looks at data: the task decides too."""
    return {**pruning_settings(task["name"], recipe, entry, seed, level), "task": dict(task)}


def ladder(recipe: Mapping[str, Any]) -> str:
    """A readable name of how many weights each level keeps: `global-weight-p0.2`.

    Recipes of one ladder share their random tickets. Many rates or exclusions are cut off, and told apart by
    a checksum.
    """
    parts = [recipe["scope"], "+".join(sorted(recipe["roles"]))]
    parts += [] if recipe["output"] else ["no-output"]
    parts += [f"no-{pattern}" for pattern in recipe["exclude"]]
    parts += [f"p{recipe['rate']}", *(f"{name}-p{rate}" for name, rate in recipe["rates"].items())]
    name = "-".join(parts).replace("*", "ANY").replace("/", "_")
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 17]}-{checksum({}, _of_ladder(recipe))[:16]}"


def pruning_of(recipe: Mapping[str, Any]) -> Entry:
    """The part of a recipe that decides masks."""
    return {key: recipe[key] for key in PRUNING_KEYS}


def ladders(recipes: Mapping[str, Entry]) -> dict[str, Entry]:
    """Ladder name -> what decides its counts, for every recipe there is."""
    return {ladder(recipe): _of_ladder(recipe) for recipe in recipes.values()}


def _of_ladder(recipe: Mapping[str, Any]) -> Entry:
    return {key: recipe[key] for key in LADDER_KEYS}


def thaw(frozen: Mapping[str, Any]) -> Study:
    """The study that `dataclasses.asdict` has frozen: jobs on other machines read no file that may change."""
    curves = {
        name: Curve(**{**curve, "levels": tuple(curve["levels"])}) for name, curve in frozen["curves"].items()
    }
    return Study(**{**frozen, "curves": curves})


def read_study(config: Mapping[str, Any], folder: Path) -> Study:
    """The study in `config`, with the tasks and recipes under `folder`. Raises InputError."""
    if "frozen" in config:
        return thaw(config["frozen"])
    schemas = folder / "schemas"
    datasets = read_datasets(folder / "datasets")
    tasks = read_tasks(folder / "tasks", datasets)
    recipes = read_recipes(folder / "recipes", read_yaml(schemas / "recipe.schema.yaml"))
    entry = _with_included(_plain(config), folder, tasks)
    where = f"study {entry['study']}"
    if not entry["curves"]:
        raise InputError(f"{where}: curves: found none")
    evaluate = sorted(entry.get("evaluate", range(1, entry["levels"] + 1)))
    _check_levels(evaluate, entry["levels"], f"{where}: evaluate")
    curves, labels = {}, {}
    for item in entry["curves"]:
        labels[item["name"]] = item.pop("label", item["name"])
        recipe = lookup("recipe", item["recipe"], recipes, f"{where}: curve {item['name']}")
        curve = Curve(**{"source": item["task"], **item}, ladder=ladder(recipe), levels=tuple(evaluate))
        if curve.own:
            curve = replace(curve, levels=tuple(range(entry["levels"] + 1)))
        if curve.ticket == DENSE_REWOUND:
            curve = replace(curve, levels=(0,))
        _check_curve(curve, tasks, recipe, f"{where}: curve {curve.name}")
        if not curve.levels:
            key = "evaluate" if entry["levels"] else "levels"
            raise InputError(
                f"{where}: curve {curve.name}: has no level, since {key} has none from 1; only a lineage's "
                "own winning tickets have level 0, the dense run"
            )
        curves[curve.name] = curve
    for name in sorted({task for curve in curves.values() for task in (curve.task, curve.source)}):
        _architecture(tasks[name], where)
    for source, name in sorted({(curve.source, curve.recipe) for curve in curves.values()}):
        _check_patterns(tasks[source], recipes[name], f"{where}: recipe {name} on task {source}")
    for figure in entry["figures"]:
        _check_figure(figure, entry["levels"], curves, labels, tasks, f"{where}: figure {figure['name']}")
    _check_moved(entry, curves, recipes, where)
    analyses = {one["name"]: _analysis(one, entry, curves, tasks, where) for one in entry["analyses"]}
    known = {**curves, **dict.fromkeys(entry["gone"])}
    claims = [
        _claim(claim, known, analyses, tasks, f"{where}: claim {claim['name']}") for claim in entry["claims"]
    ]
    return Study(
        name=entry["study"],
        seeds=entry["seeds"],
        keep_weights=entry["keep_weights"],
        curves=curves,
        labels=labels,
        figures={figure["name"]: figure for figure in entry["figures"]},
        analyses=analyses,
        claims=claims,
        tasks=tasks,
        recipes=recipes,
        resources=read_resources(folder / "resources.yaml", schemas / "resources.schema.yaml", tasks),
    )


def _plain(value: Any) -> Any:
    """As our own reader has it, which makes every key text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _with_included(config: Entry, folder: Path, tasks: Mapping[str, Entry]) -> Entry:
    """The study's validated entry, with the curves and figures of those it includes."""
    where = f"study {config.get('study')}"
    schema = read_yaml(folder / "schemas/study.schema.yaml")
    entry = validate(config, schema, where)
    entry["curves"] = _expanded(entry["curves"], schema["properties"]["curves"]["items"], where)
    for one in entry["analyses"]:
        own = schema_of(one["analysis"], schema["properties"]["analyses"]["items"])
        one |= validate(one, own, f"{where}: analysis {one['name']}")
    for kind in KINDS:
        repeated = [name for name, n in Counter(item["name"] for item in entry[kind]).items() if n > 1]
        if repeated:
            raise InputError(f"{where}: {kind}: the name '{repeated[0]}' is there twice")
    for name in entry["include"]:
        path = folder / "studies" / f"{name}.yaml"
        if not path.exists():
            raise InputError(f"{where}: include: there is no {path}")
        included = _with_included(read_yaml(path), folder, tasks)
        for kind in KINDS:
            known = {item["name"]: item for item in entry[kind]}
            for item in included[kind]:
                if known.setdefault(item["name"], item) != item:
                    raise InputError(f"{where}: include: {name} has another {item['name']} in its {kind}")
            entry[kind] = list(known.values())
        entry["gone"] = entry.get("gone", set()) | included["gone"]
    return _without(entry, tasks, where)


def _expanded(curves: list[Entry], schema: Entry, where: str) -> list[Entry]:
    """The curves, those of a sweep in its place and held against the schema of one curve."""
    found = []
    for curve in curves:
        texts: dict[str, str] = {key: curve[key] for key in ("name", "label") if key in curve}
        for filled, chosen in expand(texts, curve, f"{where}: curve {curve['name']}"):
            found.append(validate({**chosen, **filled}, schema, f"{where}: curve {filled['name']}"))
    return found


def _without(entry: Entry, tasks: Mapping[str, Entry], where: str) -> Entry:
    """The entry less the curves that need a data set it is without, and the figures that are then empty."""
    known = {task["dataset"]["name"] for task in tasks.values() if "dataset" in task}
    for dataset in entry["without"]:
        lookup("dataset", dataset, dict.fromkeys(known), f"{where}: without")

    def needed(curve: Entry) -> bool:
        used = [tasks[curve[key]] for key in ("task", "source") if curve.get(key) in tasks]
        return not any(task.get("dataset", {}).get("name") in entry["without"] for task in used)

    left = [curve for curve in entry["curves"] if needed(curve)]
    gone = {curve["name"] for curve in entry["curves"]} - {curve["name"] for curve in left}
    found = {**entry, "curves": left, "gone": gone | entry.get("gone", set())}
    for kind in ("figures", "analyses"):
        asked = [{**f, "curves": [name for name in f["curves"] if name not in gone]} for f in entry[kind]]
        found[kind] = [one for one in asked if one["curves"]]
    return found


def _check_levels(levels: list[int], last: int, where: str) -> None:
    outside = [level for level in levels if level > last]
    if outside:
        raise InputError(f"{where}: found level {outside[0]}, allowed: up to the study's levels, {last}")


def _check_figure(
    figure: Entry,
    last: int,
    curves: Mapping[str, Curve],
    labels: Mapping[str, str],
    tasks: Mapping[str, Entry],
    where: str,
) -> None:
    """Raise InputError for a figure that can never be drawn, whatever the runs give."""
    for name in figure["curves"]:
        lookup("curve", name, curves, where)
    for name in figure["labels"]:
        lookup("label of curve", name, dict.fromkeys(figure["curves"]), where)
    for key in UNREAD.get(figure["kind"], ()):
        if figure.get(key, "value") not in ("value", "remaining"):  # the defaults
            raise InputError(
                f"{where}: {key}: found {figure[key]!r}, which kind {figure['kind']} does not read"
            )
    drawn = [curves[name] for name in figure["curves"]]
    if figure["kind"] in ("learning", "matrix", "profile"):
        if "levels" not in figure:
            raise InputError(f"{where}: a figure of kind {figure['kind']} needs levels")
        if not figure["levels"]:
            raise InputError(f"{where}: levels: found [], allowed: at least one level")
    _check_levels(figure.get("levels", []), last, f"{where}: levels")
    if figure["kind"] == "metric":
        for curve in drawn:
            _check_value(figure["value"], curve, tasks[curve.task], f"{where}: value")
    if figure["kind"] == "difference" and not any(_has_reference(curve, curves.values()) for curve in drawn):
        raise InputError(f"{where}: no curve of the study has the random tickets to take the difference to")
    if figure["kind"] in ("layers", "movement"):
        _check_masks(drawn, figure["kind"], last, where)
    if figure["kind"] == "layers" and figure["value"] not in ("value", "kept"):
        raise InputError(f"{where}: value: found {figure['value']!r}, allowed for kind layers: kept")
    if figure["kind"] == "learning":
        for level in figure["levels"]:
            if not any(level in curve.levels for curve in drawn):
                raise InputError(f"{where}: levels: found {level}, at which none of its curves has a run")
    if figure["kind"] == "matrix":
        _check_matrix(drawn, figure["levels"], {**labels, **figure["labels"]}, where)
    if figure["kind"] in ("tasks", "profile"):
        _check_over_tasks(figure, curves, labels, where)
    if "y" in figure and figure["y"][0] >= figure["y"][1]:
        raise InputError(f"{where}: y: found {figure['y']}, allowed: a lower end and an upper one")


def _analysis(
    asked: Entry, entry: Entry, curves: Mapping[str, Curve], tasks: Mapping[str, Entry], where: str
) -> Entry:
    """An analysis, with the levels of each curve spelt out. Raises InputError for what can never be
    measured."""
    where, module = f"{where}: analysis {asked['name']}", analysis(asked["analysis"])
    if asked["name"] in (*TAKEN, *(figure["name"] for figure in entry["figures"])):
        raise InputError(f"{where}: name: is that of a table or a figure already")
    lookup("value", asked.setdefault("value", next(iter(module.VALUES))), module.VALUES, where)
    lookup("figure", asked["draw"], {"values": None, **module.FIGURES}, f"{where}: draw")
    for name in asked["labels"]:
        lookup("label of curve", name, dict.fromkeys(asked["curves"]), where)
    _check_levels(asked.get("levels", []), entry["levels"], f"{where}: levels")
    there = {curve.run(0, level) for curve in curves.values() for level in curve.levels}
    measured = {}
    for name in asked["curves"]:
        curve = lookup("curve", name, curves, where)
        try:
            module.check(tasks[curve.task])
            measured[name] = _measured_levels(asked, curve, there)
        except InputError as error:
            raise InputError(f"{where}: curve {name}: {error}") from None
    for level in set(asked.get("levels", [])).difference(*measured.values()):
        raise InputError(f"{where}: levels: found {level}, at which none of its curves has a run")
    return {**asked, "measured": measured}


def _measured_levels(asked: Entry, curve: Curve, there: set[str]) -> list[int]:
    """The levels of a curve that it is asked about, or all at which there are the runs that it reads."""
    found: list[int] = []
    refused = None
    for level in sorted(set(asked.get("levels", curve.levels)) & set(curve.levels)):
        try:
            for at, copy in analysis(asked["analysis"]).runs(level, curve.copy).values():
                if replace(curve, copy=copy).run(0, at) not in there:
                    said = f"copy {copy} of level {at}" if copy != curve.copy else f"level {at}"
                    raise InputError(f"level {level} goes with {said}, which no curve of the study has")
            found.append(level)
        except InputError as error:
            refused = refused or error
            if "levels" in asked:
                raise
    if not found:
        raise refused or InputError("has a run at none of these levels")
    return found


Known = Mapping[str, Curve | None]  # None: a curve that the study is without


def _claim(
    claim: Entry, known: Known, analyses: Mapping[str, Entry], tasks: Mapping[str, Entry], where: str
) -> Entry:
    """A claim with what it compares spelt out: the numbers on its left and on its right. A curve that the
    study is without stays named: the claim is then graded as one that has no seeds."""
    curve = lookup("curve", claim["curve"], known, where)
    if "falls_to" in claim:
        _check_falls(claim, where)
    left = {"curve": claim["curve"], "value": claim["value"]}
    right = _right(claim, curve, known, where)
    for side in (left, right):
        if (other := known.get(side.get("curve", ""))) is not None:
            _check_claimed(side["value"], other, analyses, tasks, where)
    if claim["expect"] == "equal" and not claim["margin"] > 0:
        raise InputError(f"{where}: margin: equal needs one above 0, within which two numbers are equal")
    against = [f"{right['value']} of" if right.get("value", left["value"]) != left["value"] else ""]
    against += [f"{right['constant']:g}" if "constant" in right else right["curve"]]
    against += [f"at level {right['level']}" if right.get("level") is not None else ""]
    kept: Entry = {key: claim[key] for key in ("statement", "source", "margin", "falls_to") if key in claim}
    return {
        "claim": claim["name"],
        **left,
        **kept,
        "against": "dense" if claim.get("against") == "dense" else " ".join(filter(None, against)),
        "expect": _direction(claim, curve, tasks, where),
        "levels": _claimed_levels(claim, curve, right, known, analyses, where),
        "left": left,
        "right": right,
    }


def _check_falls(claim: Entry, where: str) -> None:
    """Raise InputError for what would change nothing where two curves are compared by where they fall."""
    ignored = ["value"] if claim["value"] != "value" else []
    ignored += [key for key in ("levels", "against_value", "against_level") if key in claim]
    if ignored or claim.get("against") == "dense":
        found = ignored[0] if ignored else "against: dense"
        raise InputError(f"{where}: falls_to: found {found}, allowed beside it: against, a curve or a level")


def _right(claim: Entry, curve: Curve | None, known: Known, where: str) -> Entry:
    """What a claim's curve is held against."""
    against: Any = claim.get("against", claim["curve"])
    value = claim.get("against_value", claim["value"])
    if isinstance(against, int | float):
        return {"constant": against}
    level = claim.get("against_level")
    if against == "dense" and curve is not None:
        whole = [c.name for c in known.values() if c and c.own and c.task == curve.task and not c.copy]
        if not whole:
            raise InputError(f"{where}: against: no curve has the dense network of {curve.task}, its level 0")
        against, level = whole[0], 0
    elif against == "dense":
        against, level = claim["curve"], 0
    other = lookup("curve", against, known, f"{where}: against")
    if (against, value, level) == (claim["curve"], claim["value"], None):
        raise InputError(f"{where}: needs against, against_value or against_level: what to compare with")
    if other is not None and level is not None and level not in other.levels:
        raise InputError(f"{where}: against_level: curve {against} has no level {level}")
    return {"curve": against, "value": value, "level": level}


def _direction(claim: Entry, curve: Curve | None, tasks: Mapping[str, Entry], where: str) -> str:
    """higher, lower or equal; better and worse are what they mean for the metric."""
    expect: str = claim["expect"]
    if expect not in ("better", "worse") or curve is None:
        return expect
    task = tasks[curve.task]
    if claim["value"] not in ("value", *runs.like_metric(task)):
        allowed = f"allowed for {claim['value']}: higher, lower, equal"
        raise InputError(f"{where}: expect: found {expect}, {allowed}")
    lower = runs.family(task["family"]).LOWER_IS_BETTER
    return "higher" if (expect == "better") != lower else "lower"


def _claimed_levels(
    claim: Entry,
    curve: Curve | None,
    right: Entry,
    known: Known,
    analyses: Mapping[str, Entry],
    where: str,
) -> list[int]:
    """The levels of a claim: those it names, or all from 1 at which both of its curves have its values."""
    both = set(claim.get("levels", (1,))) if curve is None else _valued(claim["value"], curve, analyses)
    other = known.get(right.get("curve", ""))
    if other is not None and right["level"] is None:
        both &= _valued(right["value"], other, analyses)
    levels: list[int] = claim.get("levels", sorted(both - {0}) or sorted(both))
    if missing := sorted(set(levels) - both):
        raise InputError(f"{where}: levels: found {missing[0]}, at which its curves have no runs to compare")
    if not levels:
        raise InputError(f"{where}: its curves have no level in common")
    return levels


def _valued(value: str, curve: Curve, analyses: Mapping[str, Entry]) -> set[int]:
    """The levels at which a curve has a value: of an analysis, those it is asked about."""
    named = _of_analysis(value, analyses)
    return set(curve.levels if named is None else analyses[named]["measured"].get(curve.name, ()))


def _of_analysis(value: str, analyses: Mapping[str, Entry]) -> str | None:
    """The analysis that `<analysis>.<number>` is of."""
    name = value.rpartition(".")[0]
    return name if name in analyses else None


def _check_claimed(
    value: str, curve: Curve, analyses: Mapping[str, Entry], tasks: Mapping[str, Entry], where: str
) -> None:
    """A number that runs of a curve have; those of layers are known when there are masks."""
    if (name := _of_analysis(value, analyses)) is not None:
        lookup("curve", curve.name, analyses[name]["measured"], f"{where}: analysis {name}")
        known = analysis(analyses[name]["analysis"]).VALUES
        lookup("value", value.removeprefix(f"{name}."), known, f"{where}: analysis {name}")
    elif value.startswith("layers."):
        _check_masks([curve], "layers", max(curve.levels), f"{where}: value {value}")
    else:
        _check_value(value, curve, tasks[curve.task], f"{where}: value")


def _check_value(value: str, curve: Curve, task: Entry, where: str) -> None:
    """A column of runs.csv that a run of the curve has: the engine's, or one that the family reports."""
    reports = getattr(runs.family(task["family"]), runs.REPORTS, None)
    if value == "value" or reports is None:
        return
    said = reports(task)
    known = ["value", *(["gap"] if "train_accuracy" in said else []), *said, *NUMBERS]
    known += ["moved_kept", "moved_pruned"] if curve.own and not curve.copy else []
    if value not in known:
        raise InputError(f"{where}: found {value!r}, allowed for curve {curve.name}: {', '.join(known)}")


def _has_reference(curve: Curve, others: Iterable[Curve]) -> bool:
    """Whether the study has random tickets that a curve's may be compared with."""
    return curve.ticket != RANDOM and any(
        (other.ticket, other.task, other.ladder) == (RANDOM, curve.task, curve.ladder)
        and other.copy in (curve.copy, 0)
        and set(curve.levels) & set(other.levels)
        for other in others
    )


def _check_masks(curves: list[Curve], kind: str, last: int, where: str) -> None:
    for curve in curves:
        if not curve.own or curve.copy:
            raise InputError(
                f"{where}: curve {curve.name} has no masks of its own, allowed for a figure of kind {kind}: "
                "a lineage's own winning tickets"
            )
    if not last:
        raise InputError(f"{where}: a figure of kind {kind} needs a level from 1, found levels 0")


def _check_moved(entry: Entry, curves: Mapping[str, Curve], recipes: Mapping[str, Entry], where: str) -> None:
    """Raise InputError where it is asked how far weights had moved when a mask was made before any moved."""
    asked = []
    for figure in entry["figures"]:
        value = figure["value"] if figure["kind"] == "metric" else figure["kind"]
        asked += [(f"figure {figure['name']}", name, value) for name in figure["curves"]]
    for claim in entry["claims"]:
        left, right = claim["value"], claim.get("against_value", claim["value"])
        sides = ((claim["curve"], left), (claim.get("against", claim["curve"]), right))
        asked += [(f"claim {claim['name']}", name, value) for name, value in sides]
    for what, name, value in asked:
        curve = curves.get(name)
        moved = value in ("movement", "moved_kept", "moved_pruned")
        if moved and curve is not None and recipes[curve.recipe]["criterion"] in SCORED:
            raise InputError(
                f"{where}: {what}: curve {name}: recipe {curve.recipe} prunes before any weight has moved, "
                f"allowed for {value}: recipes that prune what was trained"
            )


def _check_matrix(curves: list[Curve], levels: list[int], labels: Mapping[str, str], where: str) -> None:
    if 0 in levels:
        raise InputError(f"{where}: levels: found 0, at which no tickets are, allowed: levels from 1")
    own = {curve.task for curve in curves if curve.own}
    for curve in curves:
        if curve.ticket == DENSE_REWOUND:
            raise InputError(f"{where}: curve {curve.name} is {DENSE_REWOUND}, which is of level 0 alone")
        if curve.task not in own:
            raise InputError(f"{where}: needs a curve of {curve.task}'s own tickets, for the gap to them")
    cells = Counter((labels[curve.name], curve.task) for curve in curves)
    for (label, task), number in cells.items():
        if number > 1:
            raise InputError(
                f"{where}: {number} curves on {task} have the label {label!r}, allowed: one a cell"
            )


def _groups(figure: Entry, curves: Mapping[str, Curve], labels: Mapping[str, str]) -> dict[str, list[Curve]]:
    """Label -> the figure's curves that have it there."""
    found: dict[str, list[Curve]] = {}
    for name in figure["curves"]:
        found.setdefault(figure["labels"].get(name, labels[name]), []).append(curves[name])
    return found


def _common_levels(curves: Iterable[Curve]) -> set[int]:
    return set.intersection(*(set(curve.levels) for curve in curves))


def _reference(figure: Entry, label: str, groups: Mapping[str, list[Curve]]) -> str:
    """The label of the group that one is compared with: as said, else random tickets of its ladder; or ""."""
    if "reference" in figure:
        return "" if figure["reference"] == label else figure["reference"]
    for other, curves in groups.items():
        random = all(curve.ticket == RANDOM for curve in curves)
        if random and other != label and curves[0].ladder == groups[label][0].ladder:
            return other
    return ""


def _check_over_tasks(
    figure: Entry, curves: Mapping[str, Curve], labels: Mapping[str, str], where: str
) -> None:
    """Raise InputError for groups of curves that have no statistics over tasks, or cannot be compared."""
    groups = _groups(figure, curves, labels)
    first, tasks = next((label, {curve.task for curve in group}) for label, group in groups.items())
    for label, group in groups.items():
        _check_group(group, f"{where}: group {label!r}")
        if (found := {curve.task for curve in group}) != tasks:
            raise InputError(
                f"{where}: group {label!r}: found tasks {', '.join(sorted(found))}, allowed: those of group "
                f"{first!r}, {', '.join(sorted(tasks))}"
            )
    for task in sorted(tasks):
        if not any(curve.own and curve.task == task and not curve.copy for curve in curves.values()):
            raise InputError(f"{where}: needs a curve of {task}'s own tickets, whose dense runs score 1")
    for level in figure.get("levels", []):
        if not any(level in _common_levels(group) for group in groups.values()):
            raise InputError(f"{where}: levels: found {level}, at which no group has runs on all its tasks")
    if "reference" in figure:
        against = groups[lookup("label", figure["reference"], groups, f"{where}: reference")]
        for label, group in groups.items():
            if group[0].ladder != against[0].ladder:
                raise InputError(
                    f"{where}: reference: {figure['reference']!r} does not keep as many weights as {label!r}"
                )


def _check_group(group: list[Curve], where: str) -> None:
    tasks = Counter(curve.task for curve in group)
    task, number = tasks.most_common(1)[0]
    if len(tasks) < 2:
        raise InputError(f"{where}: found curves on {task} alone, allowed: one label on two tasks or more")
    if number > 1:
        raise InputError(f"{where}: found {number} curves on {task}, allowed: one on each task")
    if len({curve.ladder for curve in group}) > 1:
        raise InputError(f"{where}: its recipes keep different numbers of weights at a level")
    if not _common_levels(group):
        raise InputError(f"{where}: its curves have no level in common")


def _check_curve(curve: Curve, tasks: Mapping[str, Entry], recipe: Entry, where: str) -> None:
    target = lookup("task", curve.task, tasks, where)
    source = lookup("source", curve.source, tasks, where)
    rewind = recipe["rewind"]
    kept = ["init", *source["rewind_points"]]
    if rewind["weights"] not in (*kept, "final"):
        raise InputError(
            f"{where}: recipe {curve.recipe} rewinds to {rewind['weights']}; task {curve.source} keeps "
            f"{', '.join(kept)}: add it to the task's rewind_points"
        )
    if recipe["criterion"] in SCORED and curve.ticket != RANDOM:
        try:
            runs.scorer(source, recipe["criterion"])
        except InputError as error:
            raise InputError(f"{where}: recipe {curve.recipe}: {error}") from None
    if rewind["schedule"] not in ("start", "end"):
        family = runs.family(target["family"])
        if family.steps(target, rewind["schedule"]) >= family.steps(target, target["length"]):
            raise InputError(
                f"{where}: recipe {curve.recipe} takes the schedule from {rewind['schedule']}, which is not "
                f"before the end of task {curve.task}, {target['length']}"
            )
    if not curve.own and curve.ticket != RANDOM:
        _check_ticket(curve, rewind, where)
    if curve.source != curve.task and curve.ticket != RANDOM:
        _check_transfer(curve, target, source, where)
    if curve.ticket in OUTPUTS and (curve.ticket == KEPT_OUTPUT) == (curve.source == curve.task):
        raise InputError(
            f"{where}: ticket {curve.ticket} is the winning ticket itself where source and target are "
            f"{'one task' if curve.ticket == KEPT_OUTPUT else 'two tasks'}"
        )


def _check_ticket(curve: Curve, rewind: Mapping[str, str], where: str) -> None:
    if (curve.ticket, rewind["weights"]) == (DENSE_REWOUND, "init"):
        raise InputError(
            f"{where}: recipe {curve.recipe} rewinds to init, from where {DENSE_REWOUND} is the dense run "
            "again; allowed: a rewind point after it (the dense run in other data order is a copy's level 0)"
        )
    whole = curve.ticket == DENSE_REWOUND and curve.source == curve.task  # the optimizer's state fits
    allowed = {"weights": "a rewind point", "optimizer": "fresh"}
    for key, refused in (("weights", "final"), ("optimizer", "rewound")):
        if rewind[key] == refused and not (whole and key == "optimizer"):
            raise InputError(
                f"{where}: recipe {curve.recipe} has rewind.{key} {refused}; tickets other than a lineage's "
                f"own need {allowed[key]}"
            )


def _check_transfer(curve: Curve, target: Entry, source: Entry, where: str) -> None:
    found = [_architecture(task, where) for task in (source, target)]
    if source["family"] != target["family"] or found[0] != found[1]:
        raise InputError(
            f"{where}: {curve.source} and {curve.task} differ beyond the output layer: found {found[0]} "
            f"and {found[1]}"
        )

    if curve.ticket == KEPT_OUTPUT:
        outputs = [runs.family(task["family"]).outputs(task) for task in (source, target)]
        if outputs[0] != outputs[1]:
            raise InputError(
                f"{where}: ticket {KEPT_OUTPUT}: the outputs of {curve.source} and {curve.task} do not mean "
                f"the same: found {outputs[0]} and {outputs[1]}"
            )


def _check_patterns(task: Entry, recipe: Entry, where: str) -> None:
    """Raise InputError for tensors that a recipe names and a task's network has not, or if it leaves nothing
    to prune. The network is drawn only where a recipe names some: that imports torch."""
    if recipe["exclude"] or set(recipe["rates"]) - {"output"} or "weight" not in recipe["roles"]:
        network = runs.family(task["family"]).initialise(task, 1)
        try:
            prunable_tensors(network, Pruning(**pruning_of(recipe)))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


def _architecture(task: Mapping[str, Any], where: str) -> Any:
    try:
        return runs.family(task["family"]).architecture(task)
    except InputError as error:
        raise InputError(f"{where}: task {task['name']}: {error}") from None
