"""What a few seeds can show: Student's t on paired differences, equivalence, Holm's correction, power."""

from collections.abc import Sequence

import numpy as np
from scipy import stats
from scipy.optimize import brentq

ALPHA = 0.05
FEWEST = 3  # of two seeds the interval is 9 times as wide as their difference: nothing is said of them
POWER = 0.8


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean (Student's t); NaN for fewer than three values."""
    if len(values) < FEWEST:
        return (np.nan, np.nan)
    mean, half = float(np.mean(values)), 0.0
    if not _constant(values):
        half = float(stats.t.ppf(1 - ALPHA / 2, len(values) - 1) * stats.sem(values))
    return mean - half, mean + half


def tails(values: np.ndarray, bound: float, resolution: float = 0.0) -> tuple[float, float]:
    """p values of one-sided t tests: that the mean is above a bound, and that it is below; NaN for fewer than
    three values.

    Values without any spread, of which t says nothing, are above or below where they are so by more than
    `resolution`: what the test set of one run can tell apart."""
    if len(values) < FEWEST:
        return (np.nan, np.nan)
    distance = float(np.mean(values)) - bound
    if _constant(values):
        return float(not distance > resolution), float(not distance < -resolution)
    t = distance / stats.sem(values)
    return float(stats.t.sf(t, len(values) - 1)), float(stats.t.cdf(t, len(values) - 1))


def differs(values: np.ndarray, bound: float, resolution: float = 0.0) -> tuple[float, float]:
    """p values for a mean above a bound and for one below it, each as a two-sided test has it."""
    above, below = tails(values, bound, resolution)
    return min(1.0, 2 * above), min(1.0, 2 * below)


def equal(values: np.ndarray, margin: float, resolution: float = 0.0) -> tuple[float, float]:
    """p values for a mean within a margin of 0 (two one-sided tests), and for one beyond it."""
    over, low = tails(values, margin, resolution), tails(values, -margin, resolution)
    return max(low[0], over[1]), min(1.0, 2 * min(over[0], low[1]))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm 1979); NaN was not tested, stays, and does not count."""
    p = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    found = np.full(len(p), np.nan)
    found[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return [float(value) for value in found]


def detectable(values: np.ndarray) -> float:
    """The smallest true mean that as many values of this spread would show in four of five repetitions, by a
    two-sided t test; NaN where nothing is tested or there is no spread."""
    n = len(values)
    if n < FEWEST or _constant(values):
        return np.nan
    critical = stats.t.ppf(1 - ALPHA / 2, n - 1)

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, n - 1, shift) - POWER)

    return float(brentq(missing, 0.1, 10.0) * stats.sem(values))


def _constant(values: np.ndarray) -> bool:
    """Without spread, but for the last bits of a float."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max(initial=0))
