from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from iarbench.stats.guaranteed import allowed_above, guaranteed_threshold, needed, refusal
from iarbench.stats.thresholds import ScoreError, Scores


@pytest.mark.parametrize(("fpr", "least"), [(0.05, 59), (0.01, 299), (0.001, 2995)])
def test_how_many_are_needed(fpr: float, least: int) -> None:
    assert needed(fpr) == least
    assert allowed_above(least - 1, fpr) is None
    assert allowed_above(least, fpr) == 0


@pytest.mark.parametrize(("n", "above"), [(300, 0), (1000, 4), (2000, 12), (3000, 20)])
def test_how_many_may_lie_above(n: int, above: int) -> None:
    assert allowed_above(n, 0.01) == above
    assert binom.cdf(above, n, 0.01) <= 0.05 < binom.cdf(above + 1, n, 0.01)


def test_the_rate_is_kept_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    kept = [guaranteed_threshold(Scores.of(rng.random(400)), 0.01) >= 0.99 for _ in range(2000)]
    assert 0.95 <= np.mean(kept) <= 0.99  # exactly 1 - P(Bin(400, 0.01) <= 0) = 98.2%


def test_a_group_counts_once_by_its_first_image() -> None:
    scores = np.arange(600.0)
    crops = Scores.of(scores, np.repeat(np.arange(300), 2))
    assert guaranteed_threshold(crops, 0.01) == 598  # of 299 and 598 and ... the first crop of the last photograph
    few = Scores.of(scores, np.repeat(np.arange(200), 3))
    assert refusal(few, 0.01) == (
        "a guaranteed FPR of 1% needs 299 independent non-members, one a group; there are 200"
    )
    with pytest.raises(ScoreError, match="there are 200"):
        guaranteed_threshold(few, 0.01)


def test_several_sets_share_the_error() -> None:
    low, high = Scores.of(np.arange(500.0)), Scores.of(np.arange(500.0) + 1000)
    both = Scores.pool([low, high])
    assert allowed_above(500, 0.01) == 1
    assert allowed_above(500, 0.01, 0.025) == 0
    assert guaranteed_threshold(high, 0.01) == 1498
    assert guaranteed_threshold(both, 0.01) == 1499
    assert refusal(Scores.pool([low, Scores.of(np.arange(300.0))]), 0.01) == (
        "a guaranteed FPR of 1% needs 368 independent non-members in every set, one a group; there are 300 and 500"
    )
    assert refusal(Scores.of([]), 0.01) == "a guaranteed FPR of 1% needs 299 independent non-members; there are none"
