"""Tickets: a mask and the weights it starts from.

Winning: the lineage's mask on rewound weights. Controls: the mask kept, permuted within layers or
permuted globally; the weights rewound, drawn afresh (Morcos et al. 2019, figure A1), or drawn afresh and
rescaled to the fan-in that the mask leaves (a NeurIPS review of that paper asks for it). The dense network,
rewound and trained on, has all that a winning ticket has but for being pruned.
"""

import numpy as np

from . import masks
from .errors import InputError
from .masks import Mask
from .pruning import Pruning, pools, prunable_tensors
from .weights import Network

DENSE = "dense"  # no ticket: nothing is pruned
WINNING = "winning"
RANDOM = "random"  # global-permuted x fresh: depends on the target, the kept count and the seed only
FRESH_OUTPUT, KEPT_OUTPUT = OUTPUTS = ("fresh-output", "kept-output")  # winning, but for the output layer
PERMUTATIONS, WEIGHTS = ("kept", "layer", "global"), ("rewound", "fresh", "rescaled")
CONTROLS = tuple(f"{p}-{w}" for p in PERMUTATIONS for w in WEIGHTS if (p, w) != ("kept", "rewound"))
DENSE_REWOUND = "dense-rewound"  # nothing pruned x rewound: a winning ticket's training without its mask
MASKED = (WINNING, *OUTPUTS, *CONTROLS)  # made from a lineage's mask


def has_fresh_output(kind: str, transfer: bool) -> bool:
    """Whether a ticket leaves its output layer behind: on every transfer, unless it is said to be carried
    along (`kept-output`, where outputs mean the same), and, for comparison, in its own task too
    (`fresh-output`)."""
    return kind == FRESH_OUTPUT or (transfer and kind != KEPT_OUTPUT)


def ticket(
    kind: str, mask: Mask, rewound: Network, fresh: Network, rng: np.random.Generator, fresh_output: bool
) -> tuple[Mask, Network]:
    """Mask and masked starting network of one ticket of `kind` made from a lineage's mask, which for the
    dense network is of no tensor.

    rewound: the source's network at the rewind point, buffers too; fresh: drawn for the target;
    rng: permutes the mask.
    fresh_output: the output layer is the target's own fresh one (`has_fresh_output`). It is dense and not
    part of the ticket; where the source's was pruned too, it is pruned at random to the same fraction. Raises
    InputError if the networks differ beyond the output layer."""
    if fresh_output:
        mask = {**mask, **_output_mask(mask, fresh, rng)}
    permutation, weights = ("kept", "rewound")
    if kind in CONTROLS:
        permutation, weights = kind.split("-")
    if permutation == "layer":
        mask = masks.permute_layers(mask, rng)
    elif permutation == "global":
        mask = masks.permute_globally(mask, rng)
    start = {"rewound": rewound, "fresh": fresh, "rescaled": rescaled(fresh, mask)}[weights]
    if fresh_output:
        start = with_output_of(fresh, start)
    return mask, start.with_tensors(masks.apply(mask, start.tensors))


def _output_mask(mask: Mask, target: Network, rng: np.random.Generator) -> Mask:
    """Random masks for the target's output layer, with the fraction kept that the source's has."""
    found: Mask = {}
    for name in sorted(set(mask) & set(target.output)):
        shape = target.tensors[name].shape
        keep = round(int(np.count_nonzero(mask[name])) * target.tensors[name].size / mask[name].size)
        found |= masks.random({name: shape}, keep, rng)
    return found


def rescaled(fresh: Network, mask: Mask) -> Network:
    """Fresh weights times the root of size over kept count: a layer's output varies as that of the whole."""
    tensors = dict(fresh.tensors)
    for name, m in mask.items():
        if fresh.roles[name] == "weight" and m.any():
            tensors[name] = fresh.tensors[name] * np.float32(np.sqrt(m.size / np.count_nonzero(m)))
    return fresh.with_tensors(tensors)


def with_output_of(target: Network, source: Network) -> Network:
    """The target's network, every tensor but those of its output layer taken from the source."""
    shared = [name for name in target.tensors if name not in target.output]
    for name in shared:
        found = source.tensors[name].shape if name in source.tensors else "nothing"
        if found != target.tensors[name].shape:
            raise InputError(
                f"source and target differ beyond the output layer: {name} is {found} in the source, "
                f"{target.tensors[name].shape} in the target"
            )
    return target.with_tensors(
        {name: source.tensors[name] if name in shared else target.tensors[name] for name in target.tensors}
    )


def random_ticket(
    pruning: Pruning, level: int, fresh: Network, rng: np.random.Generator
) -> tuple[Mask, Network]:
    """As many weights as a winning ticket of this level, at random places, with fresh values."""
    keep = sum(count for _, count in pools(fresh, pruning, level))
    shapes = {name: fresh.tensors[name].shape for name in prunable_tensors(fresh, pruning)}
    mask = masks.random(shapes, keep, rng)
    return mask, fresh.with_tensors(masks.apply(mask, fresh.tensors))


def fractions(mask: Mask | None, network: Network) -> dict[str, float | int]:
    """Kept and prunable counts, and the fraction pruned of the prunable and of all parameters."""
    if mask is None:
        return {"fraction_pruned": 0.0, "fraction_pruned_of_all": 0.0}
    kept, prunable = masks.kept(mask), masks.prunable(mask)
    return {
        "kept": kept,
        "prunable": prunable,
        "fraction_pruned": (prunable - kept) / prunable,
        "fraction_pruned_of_all": (prunable - kept) / network.parameters,
    }


def empty_layers(mask: Mask | None) -> list[str]:
    """Layers with no weights left."""
    return [name for name, m in (mask or {}).items() if not np.any(m)]


def layers(mask: Mask | None) -> dict[str, dict[str, int]]:
    """Kept and prunable counts of each prunable tensor."""
    return {name: {"kept": int(np.count_nonzero(m)), "prunable": m.size} for name, m in (mask or {}).items()}
