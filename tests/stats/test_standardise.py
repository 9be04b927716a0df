from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from iarbench.stats.standardise import FOLDS, folds_of, unit_of, units_of
from iarbench.stats.thresholds import ScoreError, Scores


def test_the_unit_of_ten_scores_by_hand() -> None:
    # the median is the 5th of ten, the upper quantile the 9th; what lies below the median does not count
    unit = unit_of(Scores.of([-900, -80, 3, 4, 5, 6, 7, 8, 9, 1000]))
    assert unit.location == 5
    assert unit.scale == pytest.approx((9 - 5) / ndtri(0.9))
    assert unit.of(np.array([5.0, 9.0])) == pytest.approx([0, ndtri(0.9)])


def test_normal_scores_get_their_own_standard_deviation() -> None:
    unit = unit_of(Scores.of(np.random.default_rng(0).normal(7, 3, 200_000)))
    assert (unit.location, unit.scale) == (pytest.approx(7, abs=0.03), pytest.approx(3, abs=0.03))


def test_sets_count_the_same_whatever_their_sizes() -> None:
    few, many = Scores.of([0.0, 10.0]), Scores.of(np.arange(100.0))
    # half of the weight lies on 0 and 10: the median is reached at 33 of the hundred, the ninth tenth at 79
    unit = unit_of(Scores.pool([few, many]))
    assert unit.location == 10
    assert unit.scale == pytest.approx((79 - 10) / ndtri(0.9))


def test_no_spread_and_no_scores_are_refused() -> None:
    with pytest.raises(ScoreError, match="no spread"):
        unit_of(Scores.of([1.0] * 9 + [2.0]))
    with pytest.raises(ScoreError, match="no calibration"):
        unit_of(Scores.of([]))


def test_a_calibration_image_has_no_say_in_its_own_unit() -> None:
    values = np.random.default_rng(0).normal(size=40)
    folds = folds_of([f"photograph {number // 2}" for number in range(40)])
    assert all(folds[2 * number] == folds[2 * number + 1] for number in range(20))
    assert set(folds) <= set(range(FOLDS))
    found = units_of(Scores.of(values), folds).of_calibration(values, folds)
    for place in range(40):
        others = unit_of(Scores.of(values[folds != folds[place]]))
        assert found[place] == pytest.approx((values[place] - others.location) / others.scale)


def test_a_set_that_a_fold_empties_does_not_count() -> None:
    pooled = Scores.pool([Scores.of([1.0]), Scores.of(np.arange(10.0))])
    keep = np.array([False] + [True] * 10)
    assert unit_of(pooled, keep=keep) == unit_of(Scores.of(np.arange(10.0)))
