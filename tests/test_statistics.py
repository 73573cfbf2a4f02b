"""Tests and intervals of a few seeds, against scipy, statsmodels and simulation."""

import numpy as np
import pytest
import scipy.stats
from lottery import statistics
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

SAMPLES = [np.random.default_rng(seed).normal(0.3, 1, n) for seed, n in enumerate((3, 4, 6, 10))]


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_interval_and_tests_are_those_of_statsmodels(values):
    assert statistics.interval(values) == pytest.approx(DescrStatsW(values).tconfint_mean(0.05))
    for bound in (0.0, -0.4, 1.0):
        more = scipy.stats.ttest_1samp(values, bound, alternative="greater").pvalue
        less = scipy.stats.ttest_1samp(values, bound, alternative="less").pvalue
        assert statistics.tails(values, bound) == pytest.approx((more, less))
        two_sided = scipy.stats.ttest_1samp(values, bound).pvalue
        assert min(statistics.differs(values, bound)) == pytest.approx(two_sided)
    within, _ = statistics.equal(values, 0.8)
    assert within == pytest.approx(ttost_paired(values, np.zeros(len(values)), -0.8, 0.8)[0])


@pytest.mark.parametrize("seed", range(5))
def test_holm_s_correction_is_that_of_statsmodels(seed):
    p = np.random.default_rng(seed).uniform(0, 0.2, 7)
    assert statistics.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    with_gap = [*p[:3], np.nan, *p[3:]]
    corrected = statistics.holm(with_gap)
    assert np.isnan(corrected.pop(3)) and corrected == pytest.approx(statistics.holm(p))


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_the_detectable_difference_is_that_of_statsmodels(values):
    effect = TTestPower().solve_power(nobs=len(values), alpha=0.05, power=0.8)
    assert statistics.detectable(values) == pytest.approx(effect * values.std(ddof=1), rel=1e-4)


def test_nothing_is_said_of_two_values_and_no_spread_is_held_against_the_resolution():
    assert np.isnan([*statistics.interval(np.array([1.0, 2.0])), *statistics.tails(np.ones(2), 0)]).all()
    assert np.isnan(statistics.detectable(np.array([1.0, 2.0])))
    same = np.full(3, 0.1 + 0.2)
    assert statistics.interval(same) == (same[0], same[0]) and np.isnan(statistics.detectable(same))
    assert statistics.tails(same, 0.0, 0.01) == (0.0, 1.0) and statistics.tails(same, 0.0, 0.5) == (1.0, 1.0)
    assert statistics.equal(np.zeros(3), 0.01, 0.002) == (0.0, 1.0)
    assert statistics.equal(np.zeros(3), 0.01, 0.02)[0] == 1.0, "a margin below the resolution shows nothing"


@pytest.mark.parametrize("n", [3, 6])
def test_coverage_and_error_rates_by_simulation(n):
    """4,000 repetitions: an estimated 5 % has a standard error of 0.34 points."""
    rng = np.random.default_rng(0)
    draws = rng.normal(0.2, 1, (4000, n))
    intervals = np.array([statistics.interval(values) for values in draws])
    covered = np.mean((intervals[:, 0] < 0.2) & (intervals[:, 1] > 0.2))
    assert covered == pytest.approx(0.95, abs=0.012)
    wrong = np.mean([min(statistics.differs(values, 0.2)) < 0.05 for values in draws])
    assert wrong == pytest.approx(0.05, abs=0.012)
    at_the_margin = np.mean([statistics.equal(values, 0.2)[0] < 0.05 for values in draws])
    assert at_the_margin <= 0.05 + 0.012
    families = rng.normal(0, 1, (1000, 5, n))
    any_level = [
        min(statistics.holm([min(statistics.differs(v, 0)) for v in family])) < 0.05 for family in families
    ]
    assert np.mean(any_level) <= 0.05 + 0.021
    sd = 1.0
    shift = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * sd
    found = np.mean([statistics.differs(values - 0.2 + shift, 0)[0] < 0.05 for values in draws])
    assert found == pytest.approx(0.8, abs=0.025)
