from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from iarbench.stats.cuts import cuts_of
from iarbench.stats.intervals import clopper_pearson
from iarbench.stats.thresholds import Scores
from iarbench.stats.tpr_interval import tpr_interval


def interval(members: np.ndarray, nonmembers: np.ndarray, fpr: float) -> tuple[float | None, float]:
    return tpr_interval(cuts_of(Scores.of(members)), cuts_of(Scores.of(nonmembers)), fpr)


def brute(members: np.ndarray, nonmembers: np.ndarray, fpr: float) -> tuple[float, float]:
    """Every observed score as the threshold, every TPR of a fine grid: which of them do both counts allow?"""
    n, m, grid = len(nonmembers), len(members), np.linspace(0, 1, 20001)

    def z(tail: np.ndarray) -> np.ndarray:
        return np.maximum(0, -norm.ppf(tail))

    def mid(count: int) -> float:
        return float((binom.cdf(count, n, fpr) + binom.cdf(count - 1, n, fpr)) / 2)

    allowed = []
    for t in np.unique(nonmembers):
        found = int((members > t).sum())
        high = z(mid(int((nonmembers >= t).sum()))) ** 2 + z(binom.sf(found - 1, m, grid)) ** 2
        low = z(1 - mid(int((nonmembers > t).sum()))) ** 2 + z(binom.cdf(found, m, grid)) ** 2
        limit = norm.ppf(0.975) ** 2
        allowed.append(((high <= limit) & (grid <= found / m), (low <= limit) & (grid >= found / m)))
    lower = min(grid[below].min() for below, _ in allowed if below.any())
    upper = max(grid[above].max() for _, above in allowed if above.any())
    return lower, upper


@pytest.mark.parametrize("decimals", [6, 0])
@pytest.mark.parametrize(("n", "fpr"), [(100, 0.05), (400, 0.01)])
def test_by_brute_force(n: int, fpr: float, decimals: int) -> None:
    rng = np.random.default_rng(n)
    members, nonmembers = rng.normal(2, 1, 60).round(decimals), rng.normal(0, 1, n).round(decimals)
    assert interval(members, nonmembers, fpr) == pytest.approx(brute(members, nonmembers, fpr), abs=1e-4)


def test_a_threshold_that_does_not_matter_leaves_the_exact_interval() -> None:
    found = interval(np.r_[np.full(97, 50.0), np.full(3, -50.0)], np.arange(400) / 400, 0.01)
    assert found == pytest.approx(clopper_pearson(97, 100))


@pytest.mark.parametrize(("n", "has_lower_end"), [(367, False), (368, True)])
def test_too_few_nonmembers_give_no_lower_end(n: int, has_lower_end: bool) -> None:
    low, _ = interval(np.full(100, 50.0), np.arange(n) / n, 0.01)
    assert (low is not None) == has_lower_end


def test_copies_in_a_group_count_once() -> None:
    rng = np.random.default_rng(1)
    members, nonmembers = Scores.of(rng.normal(2, 1, 200)), rng.normal(size=400)
    once, copies = Scores.of(nonmembers), Scores.of(np.repeat(nonmembers, 3), np.repeat(np.arange(400), 3))
    found = [tpr_interval(cuts_of(members), cuts_of(sample), 0.01) for sample in (once, copies)]
    assert found[1] == pytest.approx(found[0], abs=0.02)  # the cut may lie within a photograph
