from __future__ import annotations

import numpy as np
import pytest

from iarbench.stats.intervals import (
    bootstrap,
    clopper_pearson,
    independent_groups,
    percentiles,
    proportion,
    resampled_weights,
    seed_of,
    variance_of_mean,
)
from iarbench.stats.thresholds import Scores

EXACT = [  # count, total, low %, high %
    (10, 1000, 0.48, 1.83), (3, 300, 0.21, 2.89), (1, 100, 0.03, 5.45), (20, 2000, 0.61, 1.54),
    (1000, 1000, 99.63, 100), (994, 1000, 98.70, 99.78), (950, 1000, 93.46, 96.27), (878, 1000, 85.61, 89.76),
    (604, 1000, 57.29, 63.45), (500, 500, 99.26, 100), (100, 100, 96.38, 100),
]  # fmt: skip


@pytest.mark.parametrize(("count", "total", "low", "high"), EXACT)
def test_clopper_pearson(count: int, total: int, low: float, high: float) -> None:
    assert [round(100 * bound, 2) for bound in clopper_pearson(count, total)] == [low, high]


@pytest.mark.parametrize(("count", "total", "low", "high"), EXACT)
def test_ungrouped_proportion_is_plain_clopper_pearson(count: int, total: int, low: float, high: float) -> None:
    value, *bounds = proportion(np.arange(total) < count, Scores.of(np.zeros(total)))
    assert value == count / total
    assert [round(100 * bound, 2) for bound in bounds] == [low, high]


@pytest.mark.parametrize("flagged", [0, 7, 50])
def test_copies_in_a_group_count_once(flagged: int) -> None:
    once = np.arange(50) < flagged
    copies = Scores.of(np.zeros(150), np.repeat(np.arange(50), 3))
    assert proportion(np.repeat(once, 3), copies) == pytest.approx(proportion(once, Scores.of(np.zeros(50))))


def test_grouping_never_narrows_the_interval() -> None:
    flags = np.arange(60) % 3 == 0  # every group alike: less variable than independent images
    value, low, high = proportion(flags, Scores.of(np.zeros(60), np.arange(60) // 3))
    assert (low, high) == pytest.approx(clopper_pearson(20, 60))
    assert value == pytest.approx(1 / 3)


def test_sets_count_equally() -> None:
    pooled = Scores.pool([Scores.of(np.zeros(100)), Scores.of(np.zeros(10))])
    value, low, high = proportion(np.arange(110) >= 100, pooled)
    assert value == 0.5
    assert low < 0.5 < high
    assert independent_groups(pooled) == pytest.approx(1 / (100 * (1 / 200) ** 2 + 10 * (1 / 20) ** 2))


def test_variance_of_mean_ungrouped() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    assert variance_of_mean(values, Scores.of(values)) == pytest.approx(values.var(ddof=1) / 4)


def test_resamples_draw_whole_groups_within_each_set() -> None:
    one = Scores.of(np.zeros(5), ["a", "a", "b", "c", "c"])
    weights = resampled_weights(Scores.pool([one, Scores.of(np.zeros(3))]), np.random.default_rng(0), 200)
    assert weights.shape == (200, 8)
    assert weights.sum(axis=1) == pytest.approx(np.ones(200))
    assert weights[:, :5].sum(axis=1) == pytest.approx(np.full(200, 0.5))
    assert np.array_equal(weights[:, 0], weights[:, 1])
    assert np.array_equal(weights[:, 3], weights[:, 4])
    assert not np.array_equal(weights[:, 5], weights[:, 6])


def test_bootstrap_of_a_mean_has_the_right_spread() -> None:
    values = np.random.default_rng(0).normal(size=400)
    sample = Scores.of(values)
    means = bootstrap({"x": sample}, lambda w: (w["x"] @ values)[:, None], seed=1)[:, 0]
    assert means.std() == pytest.approx(np.sqrt(variance_of_mean(values, sample)), rel=0.1)
    low, high = percentiles(means)
    assert low < values.mean() < high


def test_a_sample_more_does_not_change_the_draws_of_another() -> None:
    sample = Scores.of(np.arange(20.0))
    alone = bootstrap({"x": sample}, lambda w: w["x"], seed=7, draws=50)
    beside = bootstrap({"y": Scores.of(np.arange(9.0)), "x": sample}, lambda w: w["x"], seed=7, draws=50)
    assert np.array_equal(alone, beside)
    assert not np.array_equal(alone, bootstrap({"x": sample}, lambda w: w["x"], seed=8, draws=50))


def test_many_images_are_resampled_in_blocks() -> None:
    sizes = []
    sample = Scores.of(np.zeros(400_000))

    def statistic(weights: dict[str, np.ndarray]) -> np.ndarray:
        sizes.append(len(weights["x"]))
        return weights["x"].sum(axis=1, keepdims=True)

    assert bootstrap({"x": sample}, statistic, seed=0, draws=5) == pytest.approx(np.ones((5, 1)))
    assert sizes == [2, 2, 1]


def test_seed_belongs_to_the_identity() -> None:
    assert seed_of("a", 1) == 9484037261928657086  # the same on every machine, in every process
    assert len({seed_of("a", 1), seed_of("a", 2), seed_of("a1"), seed_of("a", "1", "")}) == 4
