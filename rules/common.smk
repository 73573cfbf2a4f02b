"""The validated study, and what the rules look up in it."""

import re
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, f"{workflow.basedir}/workflow_scripts")

from lottery import RESULTS_VERSION, plugins, resources, warm
from lottery.errors import InputError
from lottery.provenance import code_of
from lottery.study import dense, ladders, lineage, pruning_of, read_study, training_settings
from lottery.tickets import CONTROLS, WINNING

try:
    study = read_study(config, Path(workflow.basedir) / "config")
except InputError as error:
    sys.exit(f"error: {error}")

# a job on another machine reads this file again: it gets the study as it is now, whatever is edited meanwhile
config["frozen"] = asdict(study)

LADDERS = ladders(study.recipes)
CONTINUED = [name for name, recipe in study.recipes.items() if recipe["rewind"]["weights"] == "final"]
KEPT = list(study.recipes) if study.keep_weights else CONTINUED


def one_of(names):
    """A regular expression for exactly these names."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    task=one_of(study.tasks),
    source=one_of(study.tasks),
    recipe=one_of(study.recipes),
    ticket=one_of((WINNING, *CONTROLS)),
    seed=r"\d+",
    level=r"\d\d",


def asks(task=None):
    """What training a task asks of a cluster, for `resources:`; without a name, that of the wildcard."""

    def asked(key):
        return lambda w: study.resources[task or w.task][key]

    return {key: asked(key) for key in (*resources.ASKED, *resources.TEXTS)}


# Large files are inputs as ancient(), so that a copied or touched one starts nothing; the small JSON
# written beside each is the input that counts, and Snakemake compares it by content.
def data_input(task):
    name = plugins.find("tasks", study.tasks[task]["family"]).data(study.tasks[task])
    if name is None:
        return {}
    return {"data": ancient(f"results/data/{name}.safetensors"), "data_said": f"results/data/{name}.json"}


def rewind_input(task, recipe, seed):
    """The weights that a recipe rewinds to, and the optimizer's state there if it is wanted."""
    rewind = study.recipes[recipe]["rewind"]
    point = f"{dense(task, seed)}/{rewind['weights']}"
    found = {"start": ancient(f"{point}.safetensors"), "start_said": f"{dense(task, seed)}/metrics.json"}
    if rewind["optimizer"] == "rewound":
        found["optimizer"] = ancient(f"{point}.optimizer.safetensors")
    return found


def mask_input(task, recipe, seed, level):
    folder = lineage(task, recipe, seed, level)
    return {"mask": ancient(f"{folder}/mask.npz"), "mask_said": f"{folder}/pruning.json"}


def trained_input(task, recipe, seed, level):
    """The training that a level's mask is pruned from, and what that training started from."""
    rewind = study.recipes[recipe]["rewind"]
    if level == 1 or not study.recipes[recipe]["iterative"]:
        folder, start = dense(task, seed), "init"
    else:
        folder, start = lineage(task, recipe, seed, level - 1), rewind["weights"].replace("final", "init")
    return {
        "weights": ancient(f"{folder}/weights.safetensors"),
        "weights_said": f"{folder}/metrics.json",
        "start": ancient(f"{dense(task, seed)}/{start}.safetensors"),
    }


def prune_input(w):
    level = int(w.level)
    found = trained_input(w.task, w.recipe, w.seed, level)
    if level > 1 and study.recipes[w.recipe]["iterative"]:
        found |= mask_input(w.task, w.recipe, w.seed, level - 1)
    return found


def level_input(w):
    level = int(w.level)
    if w.recipe in CONTINUED:
        found = trained_input(w.task, w.recipe, w.seed, level)
        found["start"], found["start_said"] = found.pop("weights"), found.pop("weights_said")
    else:
        found = rewind_input(w.task, w.recipe, w.seed)
    return found | mask_input(w.task, w.recipe, w.seed, level) | data_input(w.task)


def ticket_input(w):
    found = rewind_input(w.source, w.recipe, w.seed)
    return found | mask_input(w.source, w.recipe, w.seed, int(w.level)) | data_input(w.task)


def figure_curves(w):
    """The training curves that a figure of kind `learning` draws."""
    figure = study.figures[w.figure]
    if figure["kind"] != "learning":
        return []
    return [f"{run}/curve.csv" for run in study.runs(figure["curves"], figure["levels"])]


def figure_paths():
    return [
        f"results/figures/{study.name}/{name}.{suffix}" for name in study.figures for suffix in ("svg", "png")
    ]


def weight_paths():
    """The final weights of every level of the study's lineages, if it keeps them."""
    if not study.keep_weights:
        return []
    own = [name for name, curve in study.curves.items() if curve.own]
    return [f"{run}/weights.safetensors" for run in study.runs(own)]


def table_paths():
    return [f"results/tables/{study.name}/{name}.csv" for name in ("runs", "summary", "transfer", "layers")]
