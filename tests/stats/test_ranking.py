from __future__ import annotations

import itertools

import numpy as np
import pytest

from iarbench.stats.ranking import chance_map, reciprocal_ranks, top_shares
from iarbench.stats.retrieval import chance_rank1
from iarbench.stats.thresholds import ScoreError

SCORES = np.array([[3.0, 1.0, 2.0], [1.0, 5.0, 5.0], [2.0, 2.0, 2.0]])


def test_the_top_is_shared_by_those_that_tie() -> None:
    assert top_shares(SCORES).tolist() == [[1, 0, 0], [0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]


def test_reciprocal_ranks_by_hand() -> None:
    assert reciprocal_ranks(SCORES, 0) == pytest.approx([1, 1 / 3, (1 + 1 / 2 + 1 / 3) / 3])
    assert reciprocal_ranks(SCORES, 1) == pytest.approx([1 / 3, (1 + 1 / 2) / 2, (1 + 1 / 2 + 1 / 3) / 3])


def test_ties_count_as_the_mean_over_all_orders() -> None:
    scores = np.random.default_rng(0).integers(0, 3, (40, 4)).astype(float)
    for row in scores:
        orders = list(itertools.permutations(range(4)))
        ranks = [sorted(order, key=lambda t: -row[t]).index(1) + 1 for order in orders]  # a stable sort of each order
        assert reciprocal_ranks(row[None], 1)[0] == pytest.approx(np.mean([1 / rank for rank in ranks]))
        assert top_shares(row[None])[0, 1] == pytest.approx(np.mean([rank == 1 for rank in ranks]))


def test_a_guess_reaches_chance() -> None:
    assert chance_rank1(4) == 0.25
    assert chance_map(3) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    equal = np.zeros((1, 5))
    assert reciprocal_ranks(equal, 2)[0] == pytest.approx(chance_map(5))


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ScoreError, match="1 of 2 scores"):
        top_shares(np.array([[1.0, np.nan]]))
