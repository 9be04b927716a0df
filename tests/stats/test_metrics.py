from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from iarbench.stats.intervals import clopper_pearson
from iarbench.stats.metrics import OperatingPoint, Reference, auroc, tpr_at_fpr
from iarbench.stats.thresholds import ScoreError, Scores


def at_one_percent(members: Scores, nonmembers: Scores, reference: Scores) -> OperatingPoint:
    return tpr_at_fpr(members, nonmembers, {"x": Reference(reference)}, [0.01])["x"][0]


def gaussians(seed: int, shift: float, size: int = 300) -> tuple[Scores, Scores, Scores]:
    rng = np.random.default_rng(seed)
    return Scores.of(rng.normal(shift, 1, size)), Scores.of(rng.normal(size=size)), Scores.of(rng.normal(size=size))


@pytest.mark.parametrize("decimals", [8, 1, 0])
def test_auroc_is_sklearns(decimals: int) -> None:
    members, nonmembers, _ = gaussians(0, 1.2)
    m, n = members.scores.round(decimals) - 100, nonmembers.scores.round(decimals) - 100
    expected = roc_auc_score([1] * 300 + [0] * 300, np.concatenate([m, n]))
    assert auroc(Scores.of(m), Scores.of(n)).value == pytest.approx(expected, abs=1e-12)


def test_auroc_interval_by_hand() -> None:
    # 20 members, half of them above 15 of 20 non-members and half above all: placements 3/4 and 1, mean 7/8
    # 20 non-members: 15 below all members, 5 below half of them: 1 and 1/2, mean 7/8
    members = Scores.of([15.5] * 10 + [30.0] * 10)
    found = auroc(members, Scores.of(np.arange(1.0, 21)))
    variance = (10 * (1 / 8) ** 2 * 2 / 19 + (15 * (1 / 8) ** 2 + 5 * (3 / 8) ** 2) / 19) / 20
    size = 7 / 8 * 1 / 8 / variance
    assert found.value == 7 / 8
    assert size / 8 < 6  # few comparisons decide: not more of them than images
    assert (found.low, found.high) == pytest.approx(clopper_pearson(7 / 8 * min(size, 20), min(size, 20)))
    many = [Scores.of(np.tile(side, 10)) for side in (members.scores, np.arange(1.0, 21))]
    variance = (100 * (1 / 8) ** 2 * 2 / 199 + (150 * (1 / 8) ** 2 + 50 * (3 / 8) ** 2) / 199) / 200
    size = 7 / 8 * 1 / 8 / variance
    found = auroc(*many)
    assert (found.low, found.high) == pytest.approx(clopper_pearson(7 / 8 * size, size))


def test_auroc_interval_covers() -> None:
    """The true AUROC of N(1, 1) against N(0, 1) is Phi(1 / sqrt 2) = 0.76025."""
    estimates = [auroc(*gaussians(seed, 1.0, 60)[:2]) for seed in range(600)]
    covered = np.mean([estimate.low <= 0.76025 <= estimate.high for estimate in estimates])
    assert 0.925 <= covered <= 0.975


def test_perfect_auroc_has_an_honest_interval() -> None:
    found = auroc(Scores.of(np.arange(100.0, 150)), Scores.of(np.arange(80.0)))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(clopper_pearson(50, 50)[0])
    worst = auroc(Scores.of(np.zeros(50)), Scores.of(np.ones(50)))
    assert (worst.value, worst.low) == (0, 0)
    assert worst.high == pytest.approx(clopper_pearson(0, 50)[1])


def test_constant_scores_find_nothing() -> None:
    flat = Scores.of(np.full(300, -3.5))
    area = auroc(flat, flat)
    assert (area.value, area.low, area.high) == pytest.approx((0.5, *clopper_pearson(150, 300)))  # others may differ
    point = at_one_percent(flat, flat, flat)
    assert point.tpr is not None
    assert point.fpr is not None
    assert (point.tpr.value, point.tpr.low, point.fpr.value) == (0, 0, 0)


def test_pooled_auroc_is_the_mean_over_sets() -> None:
    members, near, far = Scores.of([1.0, 2.0]), Scores.of([1.5] * 30), Scores.of([0.0])
    assert auroc(members, Scores.pool([near, far])).value == pytest.approx((0.5 + 1) / 2)


def test_tpr_and_achieved_fpr_by_hand() -> None:
    calibration = Scores.of(np.arange(1.0, 200))  # threshold 198 at 1%
    members = Scores.of([198.0] * 40 + [198.5] * 60)  # the 40 ties are not flagged
    nonmembers = Scores.of([0.0] * 97 + [199.0] * 3)
    point = at_one_percent(members, nonmembers, calibration)
    assert point.threshold == 198
    assert point.tpr is not None
    assert point.fpr is not None
    assert (point.tpr.value, point.fpr.value) == (0.6, 0.03)
    assert (point.fpr.low, point.fpr.high) == pytest.approx(clopper_pearson(3, 100))
    # 199 calibration images do not hold the threshold at 1% from above: the interval is about this threshold alone
    assert point.tpr.about == "at-threshold"
    assert (point.tpr.low, point.tpr.high) == pytest.approx(clopper_pearson(60, 100))


def test_certain_detection_has_the_exact_interval() -> None:
    members, nonmembers, calibration = gaussians(0, 50)
    point = at_one_percent(members, nonmembers, calibration)
    assert point.tpr is not None
    assert (point.tpr.low, point.tpr.high) == pytest.approx(clopper_pearson(300, 300))


def test_tpr_interval_covers_what_other_images_and_calibrations_give() -> None:
    """The true TPR at the exact 1% threshold of N(2.5, 1) against N(0, 1) is 1 - Phi(2.3263 - 2.5) = 0.5689."""
    estimates = [at_one_percent(*gaussians(seed, 2.5, 400)).tpr for seed in range(400)]
    covered = np.mean([e.low <= 0.5689 <= e.high for e in estimates if e])
    assert covered >= 0.94
    # the fixed-threshold interval, which is what a naive report gives, misses far more often
    naive = np.mean([np.subtract(*clopper_pearson(e.value * 400, 400)[::-1]) for e in estimates if e])
    assert np.mean([e.high - e.low for e in estimates if e]) > 1.3 * naive


def test_only_order_matters() -> None:
    members, nonmembers, calibration = gaussians(4, 2)

    def moved(sample: Scores) -> Scores:
        return Scores.of(8 * sample.scores - 1024)  # exact in floating point, and negative throughout

    plain = at_one_percent(members, nonmembers, calibration)
    shifted = at_one_percent(moved(members), moved(nonmembers), moved(calibration))
    assert (plain.tpr, plain.fpr) == (shifted.tpr, shifted.fpr)
    assert auroc(members, nonmembers) == auroc(moved(members), moved(nonmembers))


def test_groups_widen_the_interval() -> None:
    members, nonmembers, calibration = gaussians(5, 2, 3000)
    grouped = Scores.of(np.sort(calibration.scores), np.arange(3000) // 8)
    wide, narrow = at_one_percent(members, nonmembers, grouped), at_one_percent(members, nonmembers, calibration)
    assert wide.threshold == narrow.threshold
    assert wide.tpr is not None
    assert narrow.tpr is not None
    assert wide.tpr.high - wide.tpr.low > 1.2 * (narrow.tpr.high - narrow.tpr.low)


def test_a_rate_out_of_reach_is_refused_beside_one_within() -> None:
    members, nonmembers, calibration = gaussians(6, 2)
    points = tpr_at_fpr(members, nonmembers, {"x": Reference(calibration)}, [0.001, 0.05])["x"]
    assert (points[0].tpr, points[0].fpr, points[0].threshold) == (None, None, None)
    assert (
        points[0].reason == "FPR 0.1% needs 999 non-members in every set for a threshold; 300 allow no less than 0.332%"
    )
    assert points[1].reason is None
    alone = tpr_at_fpr(members, nonmembers, {"x": Reference(calibration)}, [0.05])["x"][0]
    assert points[1] == alone  # asking for one rate more changes no number


def test_empty_sides_are_an_error() -> None:
    with pytest.raises(ScoreError, match="got 0 and 2"):
        auroc(Scores.of([]), Scores.of([1.0, 2.0]))
    with pytest.raises(ScoreError, match="got 2 and 0"):
        at_one_percent(Scores.of([1.0, 2.0]), Scores.of([]), Scores.of(np.zeros(99)))


def test_an_oracle_has_no_interval_for_the_rate_it_was_set_to() -> None:
    members, nonmembers, _ = gaussians(8, 2)
    point = tpr_at_fpr(members, nonmembers, {"x": Reference(nonmembers, "empirical")}, [0.01])["x"][0]
    assert point.fpr is not None
    assert (point.fpr.value, point.fpr.low, point.fpr.high) == (0.01, None, None)


def test_a_guaranteed_threshold_has_the_interval_of_a_given_one() -> None:
    members, nonmembers, calibration = gaussians(8, 2)
    point = tpr_at_fpr(members, nonmembers, {"x": Reference(calibration, "guaranteed")}, [0.01])["x"][0]
    flagged = int((members.scores > calibration.scores.max()).sum())
    assert point.threshold == calibration.scores.max()  # of 300, none may lie above
    assert point.tpr is not None
    assert point.tpr.about == "at-threshold"
    assert (point.tpr.low, point.tpr.high) == pytest.approx(clopper_pearson(flagged, 300))


def test_a_thousand_images_are_quick() -> None:
    samples = gaussians(11, 2, 1000)
    at_one_percent(*samples)
    start = time.process_time()
    at_one_percent(*gaussians(12, 2, 1000))
    assert time.process_time() - start < 0.1  # about 0.005 on an idle core
