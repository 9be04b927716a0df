from __future__ import annotations

import numpy as np
import pytest

from iarbench.stats.mean_ranks import mean_ranks, rank_intervals


def test_equal_values_share_their_ranks() -> None:
    values = np.array([[0.9, 0.5, 0.2], [0.9, 0.7, 0.1], [0.8, 0.7, 0.9]])
    # cell by cell: 1.5 1.5 3; 3 1.5 1.5; 2 3 1
    assert mean_ranks(values) == pytest.approx([6.5 / 3, 2.0, 5.5 / 3])
    assert mean_ranks(np.stack([values, values[::-1]]))[1] == pytest.approx([5.5 / 3, 2.0, 6.5 / 3])


def drawn(values: np.ndarray, noise: float, draws: int = 400) -> np.ndarray:
    return values + noise * np.random.default_rng(0).normal(size=(draws, *values.shape))


def test_clear_differences_leave_one_rank_and_none_leave_all() -> None:
    values = np.array([[0.9, 0.3], [0.5, 0.6], [0.1, 0.9]])
    low, high = rank_intervals(values, drawn(values, 1e-4), np.full(2, 0.001))
    assert low == pytest.approx(mean_ranks(values))
    assert high == pytest.approx(mean_ranks(values))
    low, high = rank_intervals(values, drawn(values, 10.0), np.full(2, 0.001))
    assert (low.tolist(), high.tolist()) == ([1.0] * 3, [3.0] * 3)


def test_only_what_is_shown_narrows_the_interval() -> None:
    """Of two cells A beats C in both and B in the first alone: its rank is 1 there, 1 or 2 in the second."""
    values = np.array([[0.9, 0.90], [0.5, 0.88], [0.1, 0.1]])
    low, high = rank_intervals(values, drawn(values, 0.03), np.full(2, 0.001))
    assert (low.tolist(), high.tolist()) == ([1.0, 1.5, 3.0], [1.5, 2.0, 3.0])


def test_what_no_resample_changes_is_shown_only_beyond_one_image() -> None:
    """Rates of 1 and of 249 in 250 have no spread in constant resamples; one image is no proof, a hundred are."""
    for other, expected in ((249 / 250, [1.0, 2.0]), (0.6, [1.0, 1.0])):
        values = np.array([[1.0], [other]])
        low, high = rank_intervals(values, np.repeat(values[None], 100, axis=0), np.array([1 / 250]))
        assert [low[0], high[0]] == ([1.0, 1.0] if other == 0.6 else expected)


def test_one_detector_is_first() -> None:
    low, high = rank_intervals(np.array([[0.5]]), np.full((9, 1, 1), 0.5), np.array([0.01]))
    assert (low.tolist(), high.tolist()) == ([1.0], [1.0])


def test_it_holds_ranks_that_few_images_do_not_show() -> None:
    """Four rates half a standard error apart in three cells: the true mean ranks 1 to 4 stay within."""
    rng = np.random.default_rng(1)
    true = np.repeat(np.array([[0.56], [0.54], [0.52], [0.5]]), 3, axis=1)
    held = []
    for _ in range(100):
        values = true + 0.04 * rng.normal(size=true.shape)
        draws = values + 0.04 * rng.normal(size=(200, *true.shape))
        low, high = rank_intervals(values, draws, np.full(3, 0.004))
        held.append((low <= mean_ranks(true)) & (mean_ranks(true) <= high))
    assert np.mean(held, axis=0).min() >= 0.95
