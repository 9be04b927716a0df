from __future__ import annotations

import math

import numpy as np
import pytest

from iarbench.stats.standardise import FOLDS, folds_of, unit_of, units_of
from iarbench.stats.thresholds import ScoreError, Scores


def test_the_unit_of_twenty_scores_by_hand() -> None:
    # the 0.8 quantile is the 16th of twenty; four exceed it, by 1, 2, 3 and 6; what lies below does not count
    scores = [-900.0, -80.0, *np.arange(3.0, 17.0), 17.0, 18.0, 19.0, 22.0]
    unit = unit_of(Scores.of(scores), 0.8)
    assert unit.scale == pytest.approx(3)
    assert unit.of(np.array([16.0, 19.0])) == pytest.approx([-math.log(0.2), -math.log(0.2) + 1])


def test_a_standardised_score_says_how_many_score_higher() -> None:
    scores = np.random.default_rng(0).exponential(7, 200_000) - 90
    unit = unit_of(Scores.of(scores))
    for z in (4.0, 6.0):
        higher = np.mean(unit.of(scores) > z)
        assert higher == pytest.approx(math.exp(-z), rel=0.07)


def test_sets_count_the_same_whatever_their_sizes() -> None:
    few, many = Scores.of([0.0, 200.0]), Scores.of(np.arange(100.0))
    # 0 and 200 weigh a quarter each: the 0.7 quantile is reached at 89 (0.25 + 0.45), and 90 to 99 and 200 exceed it
    unit = unit_of(Scores.pool([few, many]), 0.7)
    excess = (0.25 * (200 - 89) + 0.005 * np.arange(1, 11).sum()) / (0.25 + 0.05)
    assert unit.scale == pytest.approx(excess)
    assert unit.location == pytest.approx(89 + excess * math.log(0.3))


def test_where_many_share_the_highest_score_the_tail_begins_below_it() -> None:
    unit = unit_of(Scores.of([1.0, 2.0, 4.0, 4.0, 4.0]))  # above 2 are three of five, each by 2
    assert unit.scale == pytest.approx(2)
    assert unit.of(np.array([2.0, 4.0])) == pytest.approx([-math.log(0.6), -math.log(0.6) + 1])


def test_no_spread_and_no_scores_are_refused() -> None:
    with pytest.raises(ScoreError, match="all calibration non-members score 1: no spread"):
        unit_of(Scores.of([1.0] * 9))
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
    assert unit_of(pooled, 0.8, keep) == unit_of(Scores.of(np.arange(10.0)), 0.8)
