"""Effective sparsity: how many of a mask's weights lie on a path from the input to the output (Vysogorets &
Kempe 2021, arXiv 2107.02306). Needs numpy and masks alone.

A weight is *effective* if kept weights lead from the input to it and from it to an output; no other changes
how the output follows the input. Units are a linear layer's values and a convolution's channels: a kernel's
weight connects its two channels, whichever of its places it has, and a channel before a linear layer feeds
all of its pixels' inputs. Normalisation, pooling and nonlinearities neither connect units nor part them;
where values are added unchanged, as beside a residual block, each unit is connected with itself. Tensors that
are not pruned are whole. A bias is no connection: a unit that has nothing else is a constant, cut off from
the input. Where biases are pruned too, one is effective if its unit lies on a path. Embeddings are refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import masks
from ..analysis import Job, Measured
from ..errors import InputError
from ..masks import Mask
from ..runs import CONNECTIONS, Connection, Task, optional

OPTIONS: dict[str, dict[str, Any]] = {}
VALUES = {
    "connected": "share of kept weights on a path",
    "effective_kept": "weights on a path",
    "effective_fraction": "weights on a path / prunable weights",
    "compression": "prunable weights / kept weights",
    "effective_compression": "prunable weights / weights on a path",
}
READS = ("mask",)
RESOURCES = {"gpu": 0}
FIGURES: dict[str, Any] = {}


def check(task: Task) -> None:
    """Raise InputError for a family or a model that does not say how its units are connected."""
    optional(task, CONNECTIONS)(task)


def runs(level: int, copy: int) -> dict[str, tuple[int, int]]:
    """Name -> (level, copy): the run itself."""
    if level == 0:
        raise InputError("found level 0, which has no mask, allowed: levels from 1")
    return {"run": (level, copy)}


def measure(job: Job) -> Measured:
    """Counts of the prunable weights of a ticket, and of those on a path."""
    run = job.runs["run"]
    assert run.mask is not None
    effective = effective_mask(run.mask, run.shapes, optional(job.task, CONNECTIONS)(job.task))
    kept, prunable, on_path = masks.kept(run.mask), masks.prunable(run.mask), masks.kept(effective)
    return Measured(
        {
            "connected": on_path / kept if kept else None,
            "effective_kept": on_path,
            "effective_fraction": on_path / prunable,
            "compression": prunable / kept if kept else None,
            "effective_compression": prunable / on_path if on_path else None,
        }
    )


Shapes = Mapping[str, tuple[int, ...]]
Links = np.ndarray | None  # [units of the target, of the source], whether connected; None: each with itself


def effective_mask(mask: Mask, shapes: Shapes, connections: Sequence[Connection]) -> Mask:
    """The part of a mask that lies on paths; shapes: of all tensors, also of those that are not pruned.

    Raises InputError for a mask of tensors that are no connections, nor biases of one.
    """
    units = _units(connections, shapes)
    links = [_links(one, mask, shapes, units) for one in connections]
    reached = _reached([(one.source, one.target, link) for one, link in zip(connections, links, strict=True)])
    backwards = zip(reversed(connections), reversed(links), strict=True)
    leading = _reached(
        [(one.target, one.source, None if link is None else link.T) for one, link in backwards]
    )
    found, alive = {}, {}
    for one in connections:
        if one.weight is None:
            continue
        shape, spread = shapes[one.weight], shapes[one.weight][1] // units[one.source]
        path = leading[one.target][:, None] & np.repeat(reached[one.source], spread)
        alive[one.weight.rpartition(".")[0]] = leading[one.target] & reached[one.target]
        if one.weight in mask:
            found[one.weight] = mask[one.weight] & path.reshape(*shape[:2], *[1] * (len(shape) - 2))
    for name in mask.keys() - found.keys():
        layer, _, part = name.rpartition(".")
        if layer not in alive or part != "bias":
            raise InputError(f"effective-sparsity: the mask has {name}, which connects no units")
        found[name] = mask[name] & alive[layer]
    return found


def _units(connections: Sequence[Connection], shapes: Shapes) -> dict[str, int]:
    """Group -> how many units it has."""
    found: dict[str, int] = {}
    for one in connections:
        if one.weight is None:
            found[one.target] = found[one.source]
            continue
        if len(shapes.get(one.weight, ())) < 2:
            raise InputError(f"effective-sparsity: the network has no {one.weight} of outputs and inputs")
        found.setdefault(one.source, shapes[one.weight][1])
        if found.setdefault(one.target, shapes[one.weight][0]) != shapes[one.weight][0]:
            raise InputError(f"effective-sparsity: {one.weight} does not fit what leads to {one.target} too")
        if shapes[one.weight][1] % found[one.source]:
            raise InputError(f"effective-sparsity: {one.weight} does not fit what leads to {one.source}")
    return found


def _links(one: Connection, mask: Mask, shapes: Shapes, units: Mapping[str, int]) -> Links:
    if one.weight is None:
        return None
    kept = mask.get(one.weight, np.ones((1,) * len(shapes[one.weight]), dtype=bool))
    whole = np.broadcast_to(kept, shapes[one.weight])
    return np.asarray(whole.reshape(len(whole), units[one.source], -1).any(2))


def _reached(steps: Sequence[tuple[str, str, Links]]) -> dict[str, np.ndarray]:
    """Group -> which of its units are reached, (from, to, links) after one another, from the groups to which
    none leads."""
    reached: dict[str, np.ndarray] = {}
    led_to = {target for _, target, _ in steps}
    for source, target, links in steps:
        if source not in led_to and links is not None:
            reached.setdefault(source, np.ones(links.shape[1], dtype=bool))
        new = reached[source] if links is None else np.asarray(links @ reached[source])
        reached[target] = reached[target] | new if target in reached else new
    return reached
