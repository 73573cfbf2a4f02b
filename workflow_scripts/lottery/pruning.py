"""Which weights a lineage keeps: exact counts, nested masks, seeded ties. Needs numpy only."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction

import numpy as np

from . import criteria
from .errors import InputError
from .masks import Mask
from .weights import Network

Score = Callable[[str], np.ndarray]  # tensor name -> scores of its shape


@dataclass(frozen=True)
class Pruning:
    """How a recipe prunes (section 2 of both ticket papers).

    scope:     `global` ranks all prunable weights together, `layerwise` each tensor for itself
    rate:      fraction of the remaining weights that one level removes
    rates:     layerwise only: tensor-name pattern, or `output`, -> its own rate
    roles:     what is prunable: weight, bias, embedding; normalisation parameters never
    output:    whether the output layer is prunable
    exclude:   tensor-name patterns that are never pruned
    iterative: prune the previous level's training, or (one-shot) the dense run in a single step
    """

    scope: str = "global"
    criterion: str = "magnitude"
    rate: float = 0.2
    rates: dict[str, float] = field(default_factory=dict)
    iterative: bool = True
    roles: tuple[str, ...] = ("weight",)
    output: bool = True
    exclude: tuple[str, ...] = ()


def keep_count(prunable: int, rate: float, level: int) -> int:
    """round(N (1-p)^k), exactly: from N and the decimal rate, never by repeated rounding."""
    return round(prunable * (1 - Fraction(str(rate))) ** level)


def prunable_tensors(network: Network, pruning: Pruning) -> list[str]:
    """Names of the tensors the recipe prunes, sorted.

    Raises InputError if there are none, or if a pattern of the recipe matches no tensor.
    """
    for pattern in (*pruning.exclude, *(name for name in pruning.rates if name != "output")):
        if not any(fnmatchcase(name, pattern) for name in network.roles):
            raise InputError(
                f"recipe: '{pattern}' matches no tensor; the network has {', '.join(sorted(network.roles))}"
            )
    names = sorted(
        name
        for name, role in network.roles.items()
        if role in pruning.roles
        and (pruning.output or name not in network.output)
        and not any(fnmatchcase(name, pattern) for pattern in pruning.exclude)
    )
    if not names:
        raise InputError(
            f"recipe: nothing is prunable; found tensors {', '.join(sorted(network.roles))}, "
            f"roles {list(pruning.roles)}, exclude {list(pruning.exclude)}"
        )
    return names


def pools(network: Network, pruning: Pruning, level: int) -> list[tuple[list[str], int]]:
    """Groups of tensors that are ranked together, and how many weights each group keeps at `level`."""
    names = prunable_tensors(network, pruning)
    sizes = {name: network.tensors[name].size for name in names}
    if pruning.scope == "global":
        return [(names, keep_count(sum(sizes.values()), pruning.rate, level))]
    return [([n], keep_count(sizes[n], _rate(n, network.output, pruning), level)) for n in names]


def _rate(name: str, output: Iterable[str], pruning: Pruning) -> float:
    for pattern, rate in pruning.rates.items():
        if fnmatchcase(name, pattern) or (pattern == "output" and name in output):
            return rate
    return pruning.rate


def prune(
    pruning: Pruning, level: int, trained: Network, start: Network, previous: Mask | None, seed: int
) -> Mask:
    """The mask of `level`, nested in `previous`, from the training that ended in `trained`."""
    criterion = getattr(criteria, pruning.criterion)

    def score(name: str) -> np.ndarray:
        scores: np.ndarray = criterion(trained.tensors[name], start.tensors[name])
        return scores

    return keep_best(pruning, level, trained, score, previous, seed)


def keep_best(
    pruning: Pruning, level: int, network: Network, score: Score, previous: Mask | None, seed: int
) -> Mask:
    """The mask of `level`, nested in `previous`, of the weights of largest score.

    seed breaks ties at the threshold. Scores that are not finite (a diverged run) rank lowest.
    Raises InputError for a recipe that leaves nothing to prune.
    """

    def finite(name: str) -> np.ndarray:
        scores = score(name)
        if not np.isfinite(scores.sum()):
            scores = np.where(np.isfinite(scores), scores, -np.inf)
        return scores

    mask: Mask = {}
    for names, keep in pools(network, pruning, level):
        if previous is None:
            alive = {name: np.ones(network.tensors[name].shape, dtype=bool) for name in names}
        else:
            alive = {name: previous[name] for name in names}
        mask |= keep_largest(finite, alive, keep, np.random.default_rng(seed))
    return dict(sorted(mask.items()))


def keep_largest(score: Score, alive: Mapping[str, np.ndarray], keep: int, rng: np.random.Generator) -> Mask:
    """Exactly `keep` of the weights that are alive, those of largest score.

    Extra memory is one float32 copy of the pool and one mask. Ties at the threshold are drawn with
    `rng`: the same generator gives nested masks for falling `keep`.
    """
    size = sum(int(np.count_nonzero(m)) for m in alive.values())
    if keep >= size:
        return {name: m.copy() for name, m in alive.items()}
    if keep == 0:
        return {name: np.zeros_like(m) for name, m in alive.items()}
    threshold = _kth_largest(score, alive, size, keep)
    chosen, ties = {}, []
    for name, m in alive.items():
        scores = score(name)
        chosen[name] = (scores > threshold) & m
        ties.append(np.flatnonzero((scores == threshold) & m))
    missing = keep - sum(int(np.count_nonzero(m)) for m in chosen.values())
    drawn = np.sort(rng.permutation(sum(map(len, ties)))[:missing])
    ends = np.cumsum([len(t) for t in ties])
    for name, tied, end in zip(chosen, ties, ends, strict=True):
        mine = drawn[(drawn >= end - len(tied)) & (drawn < end)] - (end - len(tied))
        chosen[name].reshape(-1)[tied[mine]] = True
    return chosen


def _kth_largest(score: Score, alive: Mapping[str, np.ndarray], size: int, k: int) -> np.float32:
    pool = np.empty(size, dtype=np.float32)
    filled = 0
    for name, m in alive.items():
        scores = score(name)
        values = scores.reshape(-1) if m.all() else scores[m]
        pool[filled : filled + values.size] = values
        filled += values.size
    pool.partition(size - k)
    return np.float32(pool[size - k])


def movement(trained: Network, start: Network, before: Mask | None, after: Mask) -> dict[str, float | None]:
    """Mean distance a weight moved in the training just pruned, for those kept and those pruned by it.

    Frankle & Carbin 2019, appendix F.5. None if there are no such weights or the run diverged.
    """
    sums, counts = {"kept": 0.0, "pruned": 0.0}, {"kept": 0, "pruned": 0}
    for name, keep in after.items():
        distance = np.abs(trained.tensors[name] - start.tensors[name])
        gone = ~keep if before is None else before[name] & ~keep
        for group, members in (("kept", keep), ("pruned", gone)):
            sums[group] += float(distance.sum(where=members, dtype=np.float64))
            counts[group] += int(np.count_nonzero(members))
    means = {group: sums[group] / counts[group] if counts[group] else np.nan for group in sums}
    return {group: float(mean) if np.isfinite(mean) else None for group, mean in means.items()}
