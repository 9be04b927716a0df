from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm

from iarbench.stats.metrics import Reference, auroc, tpr_at_fpr
from iarbench.stats.paired import compare_tpr, delong
from iarbench.stats.thresholds import ScoreError, Scores


def gaussians(seed: int, shift: float, size: int = 300) -> tuple[Scores, Scores]:
    rng = np.random.default_rng(seed)
    return Scores.of(rng.normal(shift, 1, size)), Scores.of(rng.normal(size=size))


def test_compare_a_detector_with_itself() -> None:
    both = gaussians(8, 2)
    found = compare_tpr(both, both, 0.01)
    assert (found.difference.value, found.difference.low, found.difference.high, found.p_value) == (0, 0, 0, 1)
    found = delong(both, both)
    assert (found.difference.value, found.difference.low, found.difference.high, found.p_value) == (0, 0, 0, 1)


def test_pairing_sees_what_separate_intervals_do_not() -> None:
    """B is A with one member in ten made easier: their intervals overlap, the paired difference is clear of 0."""
    members, calibration = gaussians(9, 2)
    helped = Scores.of(np.where(np.arange(300) % 10 == 0, members.scores + 10, members.scores))
    a, b = (tpr_at_fpr(x, calibration, {"x": Reference(calibration)}, [0.01])["x"][0].tpr for x in (helped, members))
    found = compare_tpr((helped, calibration), (members, calibration), 0.01)
    assert a is not None and b is not None  # noqa: PT018
    assert a.low is not None and b.high is not None and a.low < b.high  # noqa: PT018
    assert found.difference.value == pytest.approx(a.value - b.value)
    assert found.difference.low > 0
    assert found.p_value == pytest.approx(2 / 1001)


def test_the_threshold_of_each_is_drawn_anew() -> None:
    """Both find every member at their own threshold; only one of them would at a threshold that jumps to 10."""
    calibration = np.arange(300.0)
    jumping = np.where(calibration >= 297, 1000.0 + calibration, calibration)
    near, far = Scores.of(np.full(100, 296.5)), Scores.of(np.full(100, 5000.0))
    found = compare_tpr((far, Scores.of(jumping)), (near, Scores.of(jumping)), 0.01)
    # the third largest is the threshold, 1297: no near member is found; in some draws fewer of the three are in it
    assert found.difference.value == 1
    assert found.difference.low == 0
    assert found.difference.high == 1


def test_delong_by_brute_force() -> None:
    rng = np.random.default_rng(3)
    m, n = 13, 17
    scores = rng.integers(0, 6, (2, m)) + 1.0, rng.integers(0, 6, (2, n)) * 1.0
    wins = [(x[:, None] > y) + 0.5 * (x[:, None] == y) for x, y in zip(*scores, strict=True)]
    areas = [w.mean() for w in wins]
    # DeLong et al. 1988, equations 4 to 6: covariances of the placements of both detectors
    s10 = np.cov([w.mean(axis=1) for w in wins])
    s01 = np.cov([w.mean(axis=0) for w in wins])
    contrast = np.array([1, -1])
    error = np.sqrt(contrast @ (s10 / m + s01 / n) @ contrast)
    a, b = ((Scores.of(x), Scores.of(y)) for x, y in zip(*scores, strict=True))
    found = delong(a, b)
    assert found.difference.value == pytest.approx(areas[0] - areas[1])
    assert found.difference.value == pytest.approx(auroc(*a).value - auroc(*b).value)
    # Zou and Donner 2008: each area's own interval, and the correlation of the two
    of_both = s10 / m + s01 / n
    r = of_both[0, 1] / np.sqrt(of_both[0, 0] * of_both[1, 1])
    one, other = auroc(*a), auroc(*b)
    down, up = (
        np.array([one.value - one.low, other.high - other.value]),
        np.array([one.high - one.value, other.value - other.low]),
    )
    with_r = np.array([[1, -r], [-r, 1]])
    assert found.difference.low == pytest.approx(found.difference.value - np.sqrt(down @ with_r @ down))
    assert found.difference.high == pytest.approx(found.difference.value + np.sqrt(up @ with_r @ up))
    assert found.p_value == pytest.approx(2 * norm.sf(abs(areas[0] - areas[1]) / error))


def test_delong_over_groups_is_delong_of_the_groups_when_they_are_copies() -> None:
    a, b = gaussians(1, 1.0, 60), gaussians(2, 1.3, 60)

    def thrice(sample: Scores) -> Scores:
        return Scores.of(np.repeat(sample.scores, 3), np.repeat(np.arange(60), 3))

    once, copies = delong(a, b), delong(*((thrice(x), thrice(y)) for x, y in (a, b)))
    assert (copies.difference.low, copies.difference.high) == pytest.approx((once.difference.low, once.difference.high))


def test_compare_needs_the_same_images() -> None:
    members, calibration = gaussians(10, 2)
    for compare in (delong, lambda a, b: compare_tpr(a, b, 0.01)):
        with pytest.raises(ScoreError, match="same images"):
            compare((members, calibration), (Scores.of(members.scores[:-1]), calibration))


def test_seeded() -> None:
    a, b = gaussians(7, 2), gaussians(8, 2)
    found = [compare_tpr(a, b, 0.01, seed=seed, draws=200) for seed in (1, 1, 2)]
    assert [one == other for one, other in pairwise(found)] == [True, False]
