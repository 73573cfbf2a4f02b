"""What a training asks of a cluster: its family's needs, and `config/resources.yaml` over them."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from . import plugins, runs
from .schemas import Entry, lookup, read_yaml, validate

ASKED = ("gpu", "mem_mb", "runtime", "pack")
TEXTS = ("slurm_partition", "slurm_account", "qos", "constraint", "gpu_model", "slurm_extra")


def read_resources(path: Path, schema: Path, tasks: Mapping[str, Entry]) -> dict[str, Entry]:
    """Task name -> gpu, threads, mem_mb, runtime (minutes), pack and SLURM's words (empty if not given).

    A task that says itself how many `gpus` share a training gets those, unless its site has none (`gpu: 0`).
    Raises InputError for unknown keys or families.
    """
    asked = validate(read_yaml(path), read_yaml(schema), str(path))
    for family in asked["families"]:
        lookup("family", family, dict.fromkeys(plugins.names("tasks")), f"{path}: families")
    found = {}
    for name, task in tasks.items():
        own = [entry for pattern, entry in asked["tasks"].items() if fnmatchcase(name, pattern)]
        found[name] = dict.fromkeys(TEXTS, "") | asked["all"] | runs.family(task["family"]).RESOURCES
        for entry in (asked["families"].get(task["family"], {}), *own):
            found[name] |= entry
        if found[name]["gpu"]:
            found[name]["gpu"] = task.get("gpus", found[name]["gpu"])
    return found
