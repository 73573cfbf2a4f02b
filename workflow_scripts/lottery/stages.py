"""The stages of the lottery as the workflow runs them, each from files to files.

The whole of it, for one lineage: train the dense network; prune it; rewind the weights that are
left; train them; prune again, and so on. Tickets made from the masks are trained beside it.

A stage that trains is a generator: it yields what is to be trained, is sent what came of it, and
writes its files. `run` runs one, or several side by side.
"""

import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from . import checkpoints, masks, plugins, tickets, weights
from .files import checksum, write_json
from .masks import Mask
from .preparation import prepare
from .provenance import provenance, write_curve
from .pruning import Pruning, movement
from .pruning import prune as prune_network
from .rewinding import Rewind
from .seeds import generator, stream
from .tasks import Run, Trained
from .weights import Network

Paths = Mapping[str, str]
Settings = Mapping[str, Any]
Training = Generator[tuple[Settings, Run], Trained, None]


def run(*stages: Training) -> None:
    """Run stages that train; those of one task are trained side by side, each to the files it gives alone."""
    groups: dict[str, list[tuple[Training, Settings, Run]]] = {}
    for stage in stages:
        if (asked := _go_on(stage, None)) is not None:
            groups.setdefault(json.dumps(asked[0], sort_keys=True), []).append((stage, *asked))
    for group in groups.values():
        task = group[0][1]
        results = plugins.find("tasks", task["family"]).train(task, [one for _, _, one in group])
        for (stage, _, _), trained in zip(group, results, strict=True):
            _go_on(stage, trained)


def _go_on(stage: Training, trained: Trained | None) -> tuple[Settings, Run] | None:
    """What a stage wants trained; None if it has ended."""
    try:
        return stage.send(trained)  # type: ignore[arg-type]
    except StopIteration:
        return None


def train_dense(settings: Settings, inputs: Paths, outputs: Paths) -> Training:
    """Level 0: train the whole network; keep `init`, each rewind point and the final weights."""
    task, seed = settings["task"], settings["seed"]
    family = plugins.find("tasks", task["family"])
    start = family.initialise(task, stream(seed, "init"))
    trained = yield from _train(
        settings, inputs, outputs, start, None, rewind_points=tuple(task["rewind_points"])
    )
    reached = {"status": trained.status, "reason": trained.reason}
    weights.save(outputs["init"], start, **reached)
    folder = Path(outputs["init"]).parent
    for point, (network, optimizer) in trained.rewound.items():
        weights.save(folder / f"{point}.safetensors", network, **reached)
        weights.save_arrays(folder / f"{point}.optimizer.safetensors", optimizer, reached)
    weights.save(outputs["weights"], trained.network, **reached)
    _record(settings, outputs, None, trained)


def prepare_data(settings: Settings, root: str, outputs: Paths) -> None:
    """A data set from the data root, verified, in one file; its checksum beside it."""
    sha256 = prepare(settings["dataset"], Path(root), Path(outputs["data"]))
    write_json(outputs["said"], {"dataset": settings["dataset"], "sha256": sha256})


def prune(settings: Settings, inputs: Paths, outputs: Paths) -> None:
    """The mask of a level, from the training of the level before (one-shot: from the dense run)."""
    pruning = _pruning(settings)
    trained, header = weights.load(inputs["weights"])
    start, _ = weights.load(inputs["start"])
    before = masks.load(inputs["mask"])[0] if "mask" in inputs else None
    tie_break = stream(settings["seed"], "tie-break")
    mask = prune_network(pruning, settings["level"], trained, start, before, tie_break)
    reached = {"status": header["status"], "reason": header["reason"]}
    masks.save(outputs["mask"], mask, level=settings["level"], **reached)
    write_json(
        outputs["report"],
        {
            "level": settings["level"],
            **reached,
            **tickets.fractions(mask, trained),
            "movement": movement(trained, start, before, mask),
            "layers": tickets.layers(mask),
            "mask_sha256": checksum(mask),
        },
    )


def train_level(settings: Settings, inputs: Paths, outputs: Paths) -> Training:
    """The winning ticket of a level, on its own task: its mask on the rewound weights."""
    rewound, _ = weights.load(inputs["start"])
    mask, header = masks.load(inputs["mask"])
    start = rewound.with_tensors(masks.apply(mask, rewound.tensors))
    optimizer = weights.load_arrays(inputs["optimizer"])[0] if "optimizer" in inputs else {}
    trained = yield from _train(settings, inputs, outputs, start, mask, header=header, optimizer=optimizer)
    weights.save(outputs["weights"], trained.network, status=trained.status, reason=trained.reason)
    _record(settings, outputs, mask, trained)


def train_ticket(settings: Settings, inputs: Paths, outputs: Paths) -> Training:
    """A ticket made from a lineage's mask: carried to another task, or a control."""
    task, seed = settings["task"], settings["seed"]
    rewound, _ = weights.load(inputs["start"])
    mask, header = masks.load(inputs["mask"])
    fresh = _fresh(task, seed, settings["level"])
    transfer = settings["source"] != task["name"]
    permutation = generator(seed, "permutation", settings["level"])
    mask, start = tickets.ticket(settings["ticket"], mask, rewound, fresh, permutation, transfer)
    trained = yield from _train(settings, inputs, outputs, start, mask, header=header)
    _record(settings, outputs, mask, trained)


def train_random(settings: Settings, inputs: Paths, outputs: Paths) -> Training:
    """The random ticket of a level: as many weights, at random places, with fresh values."""
    task, seed, level = settings["task"], settings["seed"], settings["level"]
    fresh = _fresh(task, seed, level)
    permutation = generator(seed, "permutation", level)
    mask, start = tickets.random_ticket(_pruning(settings), level, fresh, permutation)
    trained = yield from _train(settings, inputs, outputs, start, mask)
    _record(settings, outputs, mask, trained)


def _fresh(task: Settings, seed: int, level: int) -> Network:
    """Fresh weights for the tickets of a level: the same for all of them, so that they compare in pairs."""
    network: Network = plugins.find("tasks", task["family"]).initialise(task, stream(seed, "fresh", level))
    return network


def _pruning(settings: Settings) -> Pruning:
    return Pruning(**settings["pruning"])


def _train(
    settings: Settings,
    inputs: Paths,
    outputs: Paths,
    start: Network,
    mask: Mask | None,
    header: Settings | None = None,
    optimizer: Mapping[str, Any] | None = None,
    rewind_points: tuple[str, ...] = (),
) -> Generator[tuple[Settings, Run], Trained, Trained]:
    """Have one network trained as its task does.

    A ticket of a lineage that has diverged (`header` of its mask says so) is recorded, not trained.
    """
    task = settings["task"]
    family = plugins.find("tasks", task["family"])
    if header is not None and header["status"] == "diverged":
        chance = {family.METRIC: family.chance(task)}
        reason = f"lineage: {header['reason'].removeprefix('lineage: ')}"
        return Trained(start, chance, [], 0.0, {}, "diverged", reason)
    trained = yield (
        task,
        Run(
            start=start,
            mask=mask,
            seed=settings["seed"],
            rewind=Rewind(**settings.get("rewind", {})),
            checkpoint=_checkpoint(outputs),
            name=str(Path(outputs["metrics"]).parent),
            data=Path(inputs["data"]) if "data" in inputs else None,
            optimizer=optimizer or {},
            rewind_points=rewind_points,
        ),
    )
    return trained


def _record(settings: Settings, outputs: Paths, mask: Mask | None, trained: Trained) -> None:
    """Write curve and metrics, the last outputs of a run; its checkpoint is then not needed any more."""
    task = settings["task"]
    metric = plugins.find("tasks", task["family"]).METRIC
    write_curve(outputs["curve"], trained.curve)
    write_json(
        outputs["metrics"],
        {
            "status": trained.status,
            "reason": trained.reason,
            "task": task["name"],
            "ticket": settings["ticket"],
            "seed": settings["seed"],
            "level": settings["level"],
            "metric": metric,
            "value": trained.metrics[metric],
            **tickets.fractions(mask, trained.network),
            "metrics": trained.metrics,
            "layers": tickets.layers(mask),
            "settings": settings,
            "provenance": {**provenance(trained.seconds), "starts": checkpoints.starts(_checkpoint(outputs))},
        },
    )
    checkpoints.remove(_checkpoint(outputs))


def _checkpoint(outputs: Paths) -> Path:
    return Path(outputs["metrics"]).with_name("checkpoint.safetensors")
