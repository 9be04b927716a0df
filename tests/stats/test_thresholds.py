from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from iarbench.stats.thresholds import ScoreError, Scores, p_values, refusal, smallest_fpr, threshold


def test_conformal_threshold_is_the_kth_largest() -> None:
    assert threshold(Scores.of(np.arange(1.0, 100)), 0.01) == 99  # n = 99: k = 1
    assert threshold(Scores.of(np.arange(1.0, 200)), 0.01) == 198  # n = 199: k = 2
    assert threshold(Scores.of(np.arange(1.0, 199)), 0.01) == 198  # n = 198: k = 1
    assert threshold(Scores.of(np.arange(1.0, 301)), 0.05) == 286  # n = 300: k = 15


def test_flagged_exactly_when_the_p_value_is_small_enough() -> None:
    calibration = Scores.of([3.0, 1.0, 2.0, 2.0, 5.0, 5.0, 5.0, -1.0, 0.0])
    x = np.arange(-2.0, 7.0, 0.5)
    for fpr in (0.1, 0.25, 0.4, 0.55):
        assert np.array_equal(x > threshold(calibration, fpr), p_values(x, calibration) <= fpr + 1e-9)


def test_p_values_by_hand() -> None:
    calibration = Scores.of([1.0, 2.0, 2.0, 4.0])
    assert p_values([5, 4, 2, 0], calibration) == pytest.approx([1 / 5, 2 / 5, 4 / 5, 1])
    pooled = Scores.pool([calibration, Scores.of([10.0])])
    assert p_values([5, 11], pooled) == pytest.approx([(1 / 5 + 1) / 2, (1 / 5 + 1 / 2) / 2])


@pytest.mark.parametrize(("size", "fpr", "possible"), [(99, 0.01, True), (98, 0.01, False), (19, 0.05, True)])
def test_refuses_a_rate_below_one_over_n_plus_one(size: int, fpr: float, possible: bool) -> None:
    calibration = Scores.of(np.zeros(size))
    assert (refusal(calibration, fpr) is None) is possible
    if not possible:
        with pytest.raises(
            ScoreError, match=r"FPR 1% needs 99 non-members in every set .*; 98 allow no less than 1\.01%"
        ):
            threshold(calibration, fpr)


def test_every_nominal_rate_at_its_smallest_size_is_accepted() -> None:
    for size in range(1, 3000):
        assert refusal(Scores.of(np.zeros(size)), 1 / (size + 1)) is None


def test_no_calibration_is_refused() -> None:
    assert "there are none" in (refusal(Scores.of([]), 0.01) or "")


def test_pooled_threshold_weighs_sets_equally() -> None:
    # mean of p-values: a score above all 99 of one set and above all but c of 199 of the other
    small, large = Scores.of(np.zeros(99)), Scores.of(np.arange(1.0, 200))
    assert smallest_fpr(Scores.pool([small, large])) == pytest.approx((1 / 100 + 1 / 200) / 2)
    # (1/100 + (1 + c)/200) / 2 <= 0.01 allows c = 1: flagged above the second largest
    assert threshold(Scores.pool([small, large]), 0.01) == 198
    # all 298 alike would have allowed the second largest as well; the order of the parts must not matter
    assert threshold(Scores.pool([large, small]), 0.01) == 198


def test_oracle_is_the_last_roc_point_within_the_rate() -> None:
    rng = np.random.default_rng(3)
    for decimals in (6, 1, 0):  # with and without ties
        members = rng.normal(1.5, 1, 250).round(decimals)
        nonmembers = rng.normal(0, 1, 150).round(decimals)
        rates, found, _ = roc_curve(
            [1] * 250 + [0] * 150, np.concatenate([members, nonmembers]), drop_intermediate=False
        )
        at = threshold(Scores.of(nonmembers), 0.05, conformal=False)
        assert (members > at).mean() == found[rates <= 0.05].max()
        assert (nonmembers > at).mean() <= 0.05


def test_expected_fpr_is_k_over_n_plus_one() -> None:
    """Uniform scores: the rate at threshold t is 1 - t, so its mean over calibration draws has an exact value."""
    rng = np.random.default_rng(0)
    draws = 3000
    for size, fpr, expected in ((99, 0.01, 0.01), (150, 0.05, 7 / 151), (300, 0.01, 3 / 301)):
        rates = [1 - threshold(Scores.of(rng.random(size)), fpr) for _ in range(draws)]
        assert np.mean(rates) == pytest.approx(expected, abs=4 * np.std(rates) / np.sqrt(draws))
        assert expected <= fpr


def test_ties_only_make_it_safer() -> None:
    rng = np.random.default_rng(1)
    # whole numbers 0..9 drawn uniformly: the rate above t is (9 - t) / 10
    rates = [(9 - threshold(Scores.of(rng.integers(0, 10, 60)), 0.25)) / 10 for _ in range(2000)]
    assert 0.1 < np.mean(rates) <= 0.25
    assert threshold(Scores.of(np.ones(500)), 0.05) == 1  # nothing equal to it is flagged


def test_pooled_rate_holds_for_unlike_sets_of_unlike_sizes() -> None:
    """Mean over the sets of the rate, for uniform scores on [0, 1] and [0.5, 1.5] and 60 against 200 images."""
    rng = np.random.default_rng(2)
    rates = []
    for _ in range(3000):
        at = threshold(Scores.pool([Scores.of(rng.random(60)), Scores.of(0.5 + rng.random(200))]), 0.05)
        rates.append((np.clip(1 - at, 0, 1) + np.clip(1.5 - at, 0, 1)) / 2)
    assert 0.035 < np.mean(rates) <= 0.05


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(bad: float) -> None:
    with pytest.raises(ScoreError, match="1 of 3 scores are not finite"):
        Scores.of([0.0, bad, 1.0])


def test_scores_must_fit_their_groups() -> None:
    with pytest.raises(ScoreError, match="2 scores but 1 groups"):
        Scores.of([0.0, 1.0], ["a"])
    with pytest.raises(ScoreError, match="one-dimensional"):
        Scores.of([[0.0], [1.0]])


def test_pool_keeps_groups_apart() -> None:
    pooled = Scores.pool([Scores.of([1.0, 2.0, 3.0], ["a", "a", "b"]), Scores.of([4.0], ["a"])])
    assert pooled.n_groups == 3
    assert pooled.n_sets == 2
    assert pooled.weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
