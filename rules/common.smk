"""The validated study, and what the rules look up in it. Addresses are those of lottery/addresses.py."""

import re
import sys
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

from snakemake.logging import logger

from lottery import RESULTS_VERSION, addresses, endings, resources, runs, warm
from lottery.addresses import copy_number, file, files
from lottery.analysis import module_of as analysis_module
from lottery.config import absent
from lottery.criteria import SCORED
from lottery.data import kind_of, record_of
from lottery.errors import InputError
from lottery.files import write_json
from lottery.logs import data_root
from lottery.pieces import pieces
from lottery.provenance import code_of
from lottery.study import (
    ladders,
    of_level,
    of_random,
    of_ticket,
    pruning_settings,
    read_study,
    scoring_settings,
    training_settings,
)
from lottery.tickets import DENSE_REWOUND, MASKED

try:
    study = read_study({**config, **GIVEN}, CONFIG)
    # said before anything is started, also by a dry run; the job that prepares a set is among the first
    if workflow.is_main_process and "frozen" not in config:
        root = Path(data_root())
        for dataset in study.used():
            path = addresses.data(dataset["name"], kind_of(dataset).SUFFIX)
            if not Path(path).exists() and (missing := absent(dataset, root)):
                print(f"data set {dataset['name']}: {missing}", file=sys.stderr)
except InputError as error:
    sys.exit(f"error: {error}")

# a job on another machine reads this file again: it gets the study as it is now, whatever is edited meanwhile
config["frozen"] = asdict(study)

LADDERS = ladders(study.recipes)
SCORING = [name for name, recipe in study.recipes.items() if recipe["criterion"] in SCORED]
FOLDERS = [name for name, dataset in study.datasets.items() if not kind_of(dataset).SUFFIX]
RUN = ("metrics", "curve", "provenance")
ASKED = addresses.asked(study.name, study.digest())
CLAIMS = {"claims": addresses.table(study.name, "claims"), "page": addresses.claims_page(study.name)}
TABLES = {name: addresses.table(study.name, name) for name in study.tables}
WANTED = study.asked()
PIECES = {piece.address: piece for entry in study.analyses.values() for piece in pieces(WANTED, entry)}
ANALYSED = {name: addresses.table(study.name, name) for name in study.analyses}

# addresses of runs, with their wildcards
DENSE = addresses.dense("{task}", "{seed}", "{copy_}")
LEVEL = addresses.lineage("{task}", "{recipe}", "{seed}", "{level}")
COPY = addresses.lineage("{task}", "{recipe}", "{seed}", "{level}", "{copy_}")
TICKET = addresses.ticket("{task}", "{source}", "{recipe}", "{ticket}", "{seed}", "{level}", "{copy_}")
RANDOM = addresses.random("{task}", "{ladder}", "{seed}", "{level}", "{copy_}")


def one_of(names):
    """A regular expression for exactly these names."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    task=one_of(study.tasks),
    source=one_of(study.tasks),
    recipe=one_of(study.recipes),
    ticket=one_of((*MASKED, DENSE_REWOUND)),
    seed=r"\d+",
    level=r"\d\d",
    copy_=r"(/copy[1-9]\d*)?",


def asks():
    """What training a task, or analysing what was trained, asks of a cluster, for `resources:`."""

    def asked(key):
        return lambda w: asked_by(w)[key]

    return {key: asked(key) for key in (*resources.ASKED, *resources.TEXTS)}


def asked_by(w):
    if not hasattr(w, "piece"):
        return study.resources[w.task]
    piece = PIECES[addresses.piece(w.piece)]
    asked = study.resources[piece.curve.task]
    # several GPUs train together, but a network is evaluated on one
    return asked | {"gpu": min(asked["gpu"], 1)} | piece.module.RESOURCES


def cores(w):
    return asked_by(w)["threads"]


def counted(inputs):
    """Large files are inputs as ancient(), so that a copied or touched one starts nothing; the small JSON written
    beside each is the input that counts, and Snakemake compares it by content."""
    return {name: path if path.endswith(".json") else ancient(path) for name, path in inputs.items()}


@cache
def data_settings(name):
    """`params` of a data set: its entry, and what its own files are. They are looked at once, when it is planned what
    runs; where they are not there, as on another machine, they are what they were."""
    dataset, root = study.datasets[name], Path(data_root())
    files, changed = record_of(dataset, root, Path(addresses.data_record(name)))
    if changed:
        print(
            f"data set {name}: its files under {root / name} have changed since it was prepared; "
            "it is prepared again, and all that is made from it",
            file=sys.stderr,
        )
    settings = {"version": RESULTS_VERSION, "dataset": dataset}
    return settings if files is None else settings | {"files": files}


def data_input(w):
    return data_of(study.tasks[w.task])


def data_of(task):
    name = runs.family(task["family"]).dataset(task)
    suffix = kind_of(study.datasets[name]).SUFFIX if name else ""
    return counted(addresses.data_inputs(name, suffix))


def run_input(w):
    """What every training reads beside the weights and the mask it starts from."""
    return data_input(w) | {"chance": addresses.chance(w.task)}


def dense_input(w):
    return run_input(w) | counted(addresses.init_inputs(w.task, w.seed))


def recipe_of(w):
    return study.recipes[w.recipe]


def prune_input(w):
    return counted(addresses.prune_inputs(w.task, w.recipe, recipe_of(w), w.seed, int(w.level)))


def score_input(w):
    return data_input(w) | prune_input(w)


def level_input(w):
    made = addresses.level_inputs(w.task, w.recipe, recipe_of(w), w.seed, int(w.level))
    return run_input(w) | counted(made)


def kept_input(run, made_from):
    """Weights to keep of a training, whose address is `run`: its own while they are there or when it is still to
    come, else what it was made from, as its own rule has it."""

    def kept(w):
        path = partial(file, run.format(**dict(w.items())))
        if Path(path("trained")).exists() or not Path(path("metrics")).exists():
            return {"metrics": path("metrics"), "trained": ancient(path("trained"))}
        return {"metrics": path("metrics"), **made_from(w)}

    return kept


def ticket_input(w):
    made = addresses.ticket_inputs(w.source, w.recipe, recipe_of(w), w.seed, int(w.level))
    return run_input(w) | counted(made)


def piece_input(w):
    """What an analysis reads of the runs that it looks at, and their data."""
    piece = PIECES[addresses.piece(w.piece)]
    return data_of(study.tasks[piece.curve.task]) | counted(piece.inputs(WANTED))


def settings_of(w, level=0, ticket="dense", **more):
    """`params` of a training: all that decides its result."""
    copy = copy_number(getattr(w, "copy_", ""))
    return training_settings(study.tasks[w.task], int(w.seed), int(level), ticket, copy, **more)


def figure_curves(w):
    """The training curves that a figure of kind `learning` draws."""
    figure = study.figures[w.figure]
    if figure["kind"] != "learning":
        return []
    return [file(run, "curve") for run in study.runs(figure["curves"], figure["levels"])]


def figure_paths():
    return [
        addresses.figure(study.name, name, suffix) for name in study.figures for suffix in (".svg", ".png")
    ]


def table_paths():
    return list(TABLES.values())


def analysis_paths():
    figures = [
        addresses.figure(study.name, name, suffix) for name in study.analyses for suffix in (".svg", ".png")
    ]
    return [*ANALYSED.values(), *figures]


def claim_paths():
    return list(CLAIMS.values()) if study.claims else []


def weight_paths():
    """The final weights of every level of the study's lineages, if it keeps them."""
    if not study.keep_weights:
        return []
    own = [name for name, curve in study.curves.items() if curve.own and not curve.copy]
    return [file(run, "weights") for run in study.runs(own)]
