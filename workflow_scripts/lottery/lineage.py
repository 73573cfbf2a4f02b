"""The core loop of the lottery in one place and one process: train, prune, rewind, repeat.

The workflow runs the same stages as one job each (rules/train.smk, rules/prune.smk) and makes the
same files; this is for reading, for a debugger and for a notebook.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import plugins
from .stages import prune, run, train_dense, train_level
from .study import dense, lineage, pruning_of, training_settings


def find_tickets(
    root: Path, task: Mapping[str, Any], name: str, recipe: Mapping[str, Any], seed: int, levels: int
) -> None:
    """Find the winning tickets of levels 1 to `levels`; files go where the workflow would put them.

    root: folder of `results/`, in which the task's data set is prepared; name: the recipe's.
    For iterative recipes that rewind to a point of the dense run.
    """
    start = root / dense(task["name"], seed)
    point = start / f"{recipe['rewind']['weights']}.safetensors"
    data = plugins.find("tasks", task["family"]).data(task)
    inputs = {"data": str(root / f"results/data/{data}.safetensors")} if data else {}

    run(
        train_dense(
            training_settings(task, seed, 0, "dense"), inputs, _outputs(start, init="init.safetensors")
        )
    )
    trained, began = start, start / "init.safetensors"
    mask: dict[str, str] = {}
    for level in range(1, levels + 1):
        folder = root / lineage(task["name"], name, seed, level)
        prune(
            {"pruning": pruning_of(recipe), "seed": seed, "level": level},
            {"weights": str(trained / "weights.safetensors"), "start": str(began), **mask},
            {"mask": str(folder / "mask.npz"), "report": str(folder / "pruning.json")},
        )
        mask = {"mask": str(folder / "mask.npz")}
        settings = training_settings(task, seed, level, "winning", recipe=name, rewind=recipe["rewind"])
        run(train_level(settings, {"start": str(point), **mask, **inputs}, _outputs(folder)))
        trained, began = folder, point


def _outputs(folder: Path, **more: str) -> dict[str, str]:
    names = {"weights": "weights.safetensors", "metrics": "metrics.json", "curve": "curve.csv", **more}
    return {key: str(folder / name) for key, name in names.items()}
