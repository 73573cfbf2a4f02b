"""The stages of the lottery as the workflow runs them, each from files to files.

The whole of it, for one lineage: train the dense network; prune it; rewind the weights that are
left; train them; prune again, and so on. Tickets made from the masks are trained beside it.

A stage that trains is a generator: it yields what is to be trained, is sent what came of it, and
writes its files. `run` runs one, or several side by side.
"""

import json
import shutil
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import masks, runs, tickets, weights
from .addresses import FILES
from .analysis import MASK, START, WEIGHTS, Analysed, Job, Measured, analysis, finite
from .data import kind_of
from .errors import InputError
from .files import checksum, replacing, write_json
from .masks import Mask
from .provenance import provenance, write_curve
from .pruning import Pruning, keep_best, movement, prunable_tensors
from .pruning import prune as prune_network
from .rewinding import Rewind
from .runs import Arrays, Process, Run, Trained
from .seeds import generator, seed_for
from .training import checkpoints
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
        results = runs.family(task["family"]).train(task, [one for _, _, one in group])
        for (stage, _, _), trained in zip(group, results, strict=True):
            _go_on(stage, trained)


def _go_on(stage: Training, trained: Trained | None) -> tuple[Settings, Run] | None:
    """What a stage wants trained; None if it has ended."""
    try:
        return stage.send(trained)  # type: ignore[arg-type]
    except StopIteration:
        return None


def prepare_data(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> None:
    """A data set from the data root, verified, in one file or folder; beside it its checksum, and what its
    own files were when this was planned."""
    kind, path = kind_of(settings["dataset"]), Path(outputs["data"])
    kind.prepare(settings["dataset"], process.data_root, path)
    files = {key: settings[key] for key in ("files",) if key in settings}
    write_json(outputs["record"], {"dataset": settings["dataset"], "sha256": kind.verify(path), **files})


def chance(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> None:
    """What a network of the task reaches that learned nothing."""
    task = settings["task"]
    family, data = runs.family(task["family"]), Path(inputs["data"]) if "data" in inputs else None
    write_json(outputs["chance"], {"metric": family.METRIC, "value": family.chance(task, data)})


def initialise(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> None:
    """The network of a task and seed before any training."""
    start = _drawn(settings["task"], seed_for(settings["seed"], "init"))
    weights.save(outputs["init"], start)
    write_json(outputs["init_record"], {"weights_sha256": checksum(start.tensors)})


def train_dense(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> Training:
    """Level 0: train the whole network; keep its weights at each rewind point and at the end."""
    start, _ = weights.load(inputs["init"])
    points = tuple(settings["task"]["rewind_points"])
    made_from = _made_from(inputs, start)
    trained = yield from _train(settings, inputs, outputs, process, start, None, rewind_points=points)
    reached = {"status": trained.status, "reason": trained.reason}
    rewound = {point: network for point, (network, _) in trained.rewound.items()}
    weights.save_points(outputs["rewind"], rewound, like=start, **reached)
    weights.save(outputs["weights"], trained.network, **reached)
    points_made = {point: checksum(network.tensors) for point, network in rewound.items()}
    made = {"weights": checksum(trained.network.tensors), **points_made}
    _record(settings, inputs, outputs, None, trained, made_from, made)


def keep_optimizer(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> Training:
    """The optimizer's state at each rewind point of a dense run, which is trained again for it."""
    start, _ = weights.load(inputs["init"])
    points = tuple(settings["task"]["rewind_points"])
    trained = yield from _train(settings, inputs, outputs, process, start, None, rewind_points=points)
    _same_metrics(inputs["metrics"], trained)
    arrays: Arrays = {}
    for point, (_, state) in trained.rewound.items():
        arrays |= {f"{point}/{name}": array for name, array in state.items()}
    weights.save_arrays(outputs["optimizer"], arrays, {"status": trained.status})
    write_json(outputs["optimizer_record"], {"optimizer_sha256": checksum(arrays)})
    checkpoints.remove(_checkpoint(outputs))


def prune(settings: Settings, inputs: Paths, outputs: Paths) -> None:
    """The mask of a level, from the training of the level before (one-shot: from the dense run)."""
    pruning = _pruning(settings)
    trained, header = weights.load(inputs["weights"])
    began, _ = weights.load(inputs["began"], settings["began"])
    before = masks.load(inputs["mask"])[0] if "mask" in inputs else None
    made_from = {"weights": checksum(trained.tensors), "began": checksum(began.tensors)}
    made_from |= {} if before is None else {"mask": checksum(before)}
    began = began.with_tensors(masks.apply(before or {}, began.tensors))
    tie_break = seed_for(settings["seed"], "tie-break")
    mask = prune_network(pruning, settings["level"], trained, began, before, tie_break)
    moved = movement(trained, began, before, mask)
    _keep_mask(settings, outputs, mask, trained, (header["status"], header["reason"]), moved, made_from)


def score(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> None:
    """The mask of a level, from what a criterion that looks at data gives the weights that its ticket starts
    from: nothing has been trained for it, and no weight has moved."""
    task, pruning = settings["task"], _pruning(settings)
    start, header = weights.load(inputs["start"], settings["began"])
    data = Path(inputs["data"]) if "data" in inputs else None
    scores = runs.scorer(task, pruning.criterion)(task, start, data, pruning.criterion, process=process)
    names = prunable_tensors(start, pruning)
    if missing := [name for name in names if name not in scores]:
        raise InputError(
            f"task {task['name']}: its family gives no {pruning.criterion} scores of {missing[0]}"
        )
    reached = header.get("status", "ok"), header.get("reason", "")
    if not all(np.isfinite(scores[name]).all() for name in names):
        reached = "diverged", f"{pruning.criterion} scores that are not finite"
    tie_break = seed_for(settings["seed"], "tie-break")
    mask = keep_best(pruning, settings["level"], start, scores.__getitem__, None, tie_break)
    moved = {"kept": None, "pruned": None}
    _keep_mask(settings, outputs, mask, start, reached, moved, _made_from(inputs, start))


def _keep_mask(
    settings: Settings,
    outputs: Paths,
    mask: Mask,
    network: Network,
    reached: tuple[str, str],
    moved: Settings,
    made_from: Settings,
) -> None:
    """Write a mask and its record; reached: status and reason of what it was made from."""
    said = dict(zip(("status", "reason"), reached, strict=True))
    masks.save(outputs["mask"], mask, level=settings["level"], **said)
    write_json(
        outputs["pruning"],
        {
            "level": settings["level"],
            **said,
            **tickets.fractions(mask, network),
            "movement": moved,
            "layers": tickets.layers(mask),
            "mask_sha256": checksum(mask),
            "made_from": made_from,
            "settings": settings,
        },
    )


def train_ticket(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> Training:
    """A ticket, trained: a level's winning one, on its own task; one made from a lineage's mask, carried to
    another task or a control; the random one of a level; of level 0, the dense network rewound."""
    start = _start(settings, inputs)
    trained = yield from _train_start(settings, inputs, outputs, process, start)
    weights.save(outputs["trained"], trained.network, status=trained.status, reason=trained.reason)
    made = {"weights": checksum(trained.network.tensors)}
    _record(settings, inputs, outputs, start.mask, trained, start.made_from, made)


train_level = train_random = train_ticket  # a rule each, with what the ticket is made from


def keep_weights(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> Training:
    """The final weights of a ticket, to keep: those of its training while they are there, else trained
    again."""
    kept = Path(outputs["weights"])
    try:
        with replacing(kept) as part:
            shutil.copyfile(kept.with_name(FILES["trained"]), part)
    except FileNotFoundError:
        start = _start(settings, inputs)
        trained = yield from _train_start(settings, inputs, outputs, process, start)
        _same_metrics(inputs["metrics"], trained)
        weights.save(kept, trained.network, status=trained.status, reason=trained.reason)
        checkpoints.remove(_checkpoint(outputs))
    write_json(outputs["weights_record"], {"weights_sha256": checksum(weights.load(kept)[0].tensors)})


@dataclass(frozen=True)
class Start:
    """What the training of a ticket begins with.

    header:    of the lineage's mask, or of the rewound weights: how what it is made from has ended
    optimizer: its state at the rewind point, where that is rewound too
    made_from: checksums of what it is made from, as it was loaded
    """

    mask: Mask | None
    network: Network
    made_from: dict[str, str]
    header: Settings | None = None
    optimizer: Arrays = field(default_factory=dict)


def _start(settings: Settings, inputs: Paths) -> Start:
    """What a training begins with, by its settings and what it is made from."""
    if settings["ticket"] == tickets.DENSE:
        network, _ = weights.load(inputs["init"])
        return Start(None, network, _made_from(inputs, network))
    if settings["ticket"] == tickets.RANDOM:
        return _random_start(settings, inputs, _fresh(settings))
    if "source" in settings:
        return _ticket_start(settings, inputs)
    rewound, _ = weights.load(inputs["start"], _point(settings))
    mask, header = masks.load(inputs["mask"])
    made_from = _made_from(inputs, rewound, mask)
    start = rewound.with_tensors(masks.apply(mask, rewound.tensors))
    return Start(mask, start, made_from, header, _optimizer(settings, inputs, made_from))


def _ticket_start(settings: Settings, inputs: Paths) -> Start:
    rewound, reached = weights.load(inputs["start"], _point(settings))
    pruned, header = masks.load(inputs["mask"]) if settings["level"] else (None, reached)
    made_from = _made_from(inputs, rewound, pruned)
    optimizer = _optimizer(settings, inputs, made_from)
    mask, network = _of_lineage(settings, pruned, rewound, _fresh(settings))
    return Start(mask, network, made_from, header, optimizer)


def _of_lineage(
    settings: Settings, pruned: Mask | None, rewound: Network, fresh: Network
) -> tuple[Mask | None, Network]:
    """Mask and start of a ticket that is made from a lineage's mask; of level 0, which has none, a start."""
    kind, permutation = settings["ticket"], generator(settings["seed"], "permutation", settings["level"])
    fresh_output = tickets.has_fresh_output(kind, settings["source"] != settings["task"]["name"])
    mask, start = tickets.ticket(kind, pruned or {}, rewound, fresh, permutation, fresh_output)
    return None if pruned is None else mask, start


def _random_start(settings: Settings, inputs: Paths, fresh: Network) -> Start:
    permutation = generator(settings["seed"], "permutation", settings["level"])
    mask, start = tickets.random_ticket(_pruning(settings), settings["level"], fresh, permutation)
    return Start(mask, start, _made_from(inputs))


def analyse(settings: Settings, inputs: Paths, outputs: Paths, process: Process) -> None:
    """What an analysis finds of trained networks; none where one of them has failed."""
    found, reads = analysis(settings["analysis"]), {}
    made_from: dict[str, Any] = {}
    ended = ("ok", "")
    for name, run in settings["runs"].items():
        mine = {key.partition("/")[2]: path for key, path in inputs.items() if key.startswith(f"{name}/")}
        metrics = json.loads(Path(mine["metrics"]).read_text())
        reads[name], made_from[name] = _analysed(run, mine, found.READS, metrics)
        if metrics["status"] != "ok" and WEIGHTS in found.READS and ended[0] == "ok":
            ended = (metrics["status"], f"{Path(mine['metrics']).parent}: {metrics['reason']}")
    data = Path(inputs["data"]) if "data" in inputs else None
    made_from |= _made_from(inputs)
    # named by all that decides its rows: what is left of another one is not taken up
    saved = Path(outputs["analysis"]).with_suffix(f".{checksum({}, {**made_from, **settings})[:16]}.rows")
    job = Job(settings["task"], reads, settings["options"], data, process, saved)
    measured = found.measure(job) if ended[0] == "ok" else Measured({})
    if unknown := measured.numbers.keys() - found.VALUES.keys():
        raise InputError(f"analyses: {settings['analysis']} gives {min(unknown)}, which is not in its VALUES")
    write_json(
        outputs["analysis"],
        {
            "status": ended[0],
            "reason": ended[1],
            "numbers": {name: finite(measured.numbers.get(name)) for name in found.VALUES},
            "profile": [{key: finite(each) for key, each in row.items()} for row in measured.profile],
            "made_from": made_from,
            "settings": settings,
        },
    )
    for left in saved.parent.glob(f"{saved.name.partition('.')[0]}.*.rows"):
        left.unlink(missing_ok=True)


def _analysed(
    settings: Settings, inputs: Paths, reads: Sequence[str], metrics: Settings
) -> tuple[Analysed, dict[str, str]]:
    """What an analysis reads of a run, and the checksums of what that is made from."""
    like, _ = weights.load(inputs["init"])
    made_from, mask, start, final = {}, None, None, None
    if START in reads:
        begun = _start(settings, inputs)
        mask, start, made_from = begun.mask, begun.network, begun.made_from
    elif MASK in reads:
        mask, made_from = _mask(settings, inputs, like)
    if START in reads or MASK in reads:
        _same_counts(inputs["metrics"], metrics, mask)
    if WEIGHTS in reads:
        final, _ = weights.load(inputs["weights"])
        made_from = made_from | {"weights": checksum(final.tensors)}
    shapes = {name: array.shape for name, array in like.tensors.items()}
    return Analysed(shapes, mask, start, final), made_from


def _mask(settings: Settings, inputs: Paths, like: Network) -> tuple[Mask | None, dict[str, str]]:
    """The mask of a ticket without its weights, for which any of the task stand: what is drawn for a mask
    does not depend on them, and nothing is imported to draw them."""
    if settings["ticket"] == tickets.RANDOM:
        return _random_start(settings, inputs, like).mask, {}
    if "mask" not in inputs:
        return None, {}
    pruned, _ = masks.load(inputs["mask"])
    mask = _of_lineage(settings, pruned, like, like)[0] if "source" in settings else pruned
    return mask, _made_from(inputs, mask=pruned)


def _same_counts(path: str, metrics: Settings, mask: Mask | None) -> None:
    """Raise InputError unless a mask that was made again has the weights that the run was trained with."""
    if metrics["layers"] != tickets.layers(mask):
        raise InputError(f"{path}: layers: are not those of the mask that this run is made from")


def _fresh(settings: Settings) -> Network:
    """Fresh weights of a level's tickets: the same for all of them, so that they compare in pairs."""
    return _drawn(settings["task"], seed_for(settings["seed"], "fresh", settings["level"]))


def _drawn(task: Settings, seed: int) -> Network:
    """A network of the task; fresh ones are the same for all tickets of a level, so that they compare in
    pairs."""
    return runs.family(task["family"]).initialise(task, seed)


def _pruning(settings: Settings) -> Pruning:
    return Pruning(**settings["pruning"])


def _point(settings: Settings) -> str | None:
    """The rewind point whose weights a ticket starts from; None where a file of its own holds them."""
    point: str = settings["rewind"]["weights"]
    return None if point in ("init", "final") else point


def _made_from(inputs: Paths, start: Network | None = None, mask: Mask | None = None) -> dict[str, str]:
    """Checksums of what a training is made from, as it was loaded; of data, that of their record."""
    found = {} if start is None else {"start": checksum(start.tensors)}
    found |= {} if mask is None else {"mask": checksum(mask)}
    if "data_record" in inputs:
        found["data"] = json.loads(Path(inputs["data_record"]).read_text())["sha256"]
    return found


def _optimizer(settings: Settings, inputs: Paths, made_from: dict[str, str]) -> Arrays:
    """The optimizer's state at the rewind point, where it is rewound too; `made_from` gets its checksum."""
    if "optimizer" not in inputs:
        return {}
    arrays, _ = weights.load_arrays(inputs["optimizer"])
    made_from["optimizer"] = checksum(arrays)
    return weights.under(arrays, f"{_point(settings)}/")


def _train_start(
    settings: Settings, inputs: Paths, outputs: Paths, process: Process, start: Start
) -> Generator[tuple[Settings, Run], Trained, Trained]:
    return _train(
        settings, inputs, outputs, process, start.network, start.mask, start.header, start.optimizer
    )


def _train(
    settings: Settings,
    inputs: Paths,
    outputs: Paths,
    process: Process,
    start: Network,
    mask: Mask | None,
    header: Settings | None = None,
    optimizer: Arrays | None = None,
    rewind_points: tuple[str, ...] = (),
) -> Generator[tuple[Settings, Run], Trained, Trained]:
    """Have one network trained as its task does.

    A ticket of a lineage that has diverged (`header` of its mask says so) is recorded, not trained.
    """
    if header is not None and header["status"] == "diverged":
        reason = f"lineage: {header['reason'].removeprefix('lineage: ')}"
        return Trained(start, {}, [], 0.0, {}, "diverged", reason)
    trained = yield (
        settings["task"],
        Run(
            start=start,
            mask=mask,
            seed=settings["seed"],
            copy=settings.get("copy", 0),
            rewind=Rewind(**settings.get("rewind", {})),
            checkpoint=_checkpoint(outputs),
            name=str(_checkpoint(outputs).parent),
            data=Path(inputs["data"]) if "data" in inputs else None,
            optimizer=optimizer or {},
            rewind_points=rewind_points,
            process=process,
        ),
    )
    return trained


def _record(
    settings: Settings,
    inputs: Paths,
    outputs: Paths,
    mask: Mask | None,
    trained: Trained,
    made_from: Settings,
    made: Settings | None = None,
) -> None:
    """Write provenance, curve and metrics, the last outputs of a run; its checkpoint is then not needed any
    more.

    A run that failed counts at chance, in whatever is measured as the metric is.
    made: checksums of the weights that the run has written.
    """
    task = settings["task"]
    family = runs.family(task["family"])
    learned_nothing = json.loads(Path(inputs["chance"]).read_text())["value"]
    value = trained.metrics[family.METRIC] if trained.status == "ok" else learned_nothing
    if trained.status != "ok":
        run = Path(outputs["metrics"]).parent
        print(f"{run}: {trained.status}: {trained.reason}; it counts at chance, {learned_nothing:g}")
    at_chance = {} if trained.status == "ok" else dict.fromkeys(runs.like_metric(task), learned_nothing)
    how = {**provenance(trained.seconds), "starts": checkpoints.starts(_checkpoint(outputs))}
    write_json(outputs["provenance"], how)
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
            "metric": family.METRIC,
            "better": "lower" if family.LOWER_IS_BETTER else "higher",
            "value": value,
            "chance": learned_nothing,
            **tickets.fractions(mask, trained.network),
            "metrics": {family.METRIC: value, **at_chance, **trained.metrics},
            "layers": tickets.layers(mask),
            **_keep_arrays(outputs, trained.arrays),
            "settings": settings,
            "made_from": made_from,
            **({"made": made} if made else {}),
        },
    )
    checkpoints.remove(_checkpoint(outputs))


def _keep_arrays(outputs: Paths, arrays: Arrays) -> Settings:
    """Write what a run measured beside its numbers; its checksum for the metrics."""
    path = Path(outputs["metrics"]).with_name(FILES["arrays"])
    path.unlink(missing_ok=True)
    if not arrays:
        return {}
    weights.save_arrays(path, arrays, {})
    return {"arrays_sha256": checksum(arrays, {})}


def _same_metrics(path: str, trained: Trained) -> None:
    """Raise InputError unless a training that was run again has given the numbers that it gave before."""
    before = json.loads(Path(path).read_text())["metrics"]
    if different := [name for name, value in trained.metrics.items() if before[name] != value]:
        name = different[0]
        raise InputError(
            f"{path}: trained again, {name} is {trained.metrics[name]}, not {before[name]}: another kind of "
            "machine or other libraries give other bits; delete this file, and the lineage is made anew"
        )


def _checkpoint(outputs: Paths) -> Path:
    """Beside the first output."""
    return Path(next(iter(outputs.values()))).with_name(FILES["checkpoint"])
