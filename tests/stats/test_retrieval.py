"""Rank-1, average precision and what guessing gives."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from iarbench.errors import UserError
from iarbench.stats.retrieval import chance_average_precision, chance_rank1, cosine, retrieve, spread

GOLDEN = json.loads((Path(__file__).parents[1] / "baseline_goldens" / "lida" / "goldens.json").read_text())["metrics"]


def test_the_numbers_of_the_published_code() -> None:
    similarity = cosine(GOLDEN["query"], GOLDEN["gallery"])
    labels = map(str, GOLDEN["query_labels"]), map(str, GOLDEN["gallery_labels"])
    found = retrieve(similarity, *map(list, labels))
    assert 100 * found.rank1 == pytest.approx(GOLDEN["rank1"], abs=1e-12)
    assert 100 * found.mean_average_precision == pytest.approx(GOLDEN["mAP"], abs=1e-12)


def test_average_precision_by_hand() -> None:
    found = retrieve([[0.9, 0.8, 0.7, 0.1], [0.9, 0.8, 0.7, 0.1]], ["a", "b"], ["b", "a", "b", "a"])
    assert found.hit.tolist() == [False, True]
    assert found.average_precision.tolist() == [(1 / 2 + 2 / 4) / 2, (1 + 2 / 3) / 2]
    assert found.rank1 == 0.5


def test_ties_gain_nothing() -> None:
    found = retrieve(np.zeros((1, 4)), ["a"], ["a", "b", "b", "b"])
    assert (found.rank1, found.mean_average_precision) == (0.0, 0.25)


def test_a_class_without_gallery_images_is_refused() -> None:
    with pytest.raises(UserError, match="holds no image of c"):
        retrieve(np.zeros((1, 2)), ["c"], ["a", "b"])
    with pytest.raises(UserError, match="no queries"):
        retrieve(np.zeros((0, 2)), [], ["a", "b"])


@pytest.mark.parametrize(("relevant", "total"), [(1, 5), (2, 5), (3, 6), (4, 4)])
def test_chance_is_the_mean_over_all_orders(relevant: int, total: int) -> None:
    labels = ["own"] * relevant + ["other"] * (total - relevant)
    orders = np.array(list(permutations(range(total))), dtype=float)
    found = retrieve(orders, ["own"] * len(orders), labels)
    assert chance_average_precision(relevant, total) == pytest.approx(found.mean_average_precision, abs=1e-12)


def test_chance_of_the_paper_s_nine_classes() -> None:
    exact = [100 * chance_average_precision(k, 9 * k) for k in (1, 5, 10)]
    assert exact == pytest.approx([31.43, 17.97, 15.19], abs=0.005)  # 31.3, 18.0 and 15.2 by simulation
    assert 100 * chance_rank1(9) == pytest.approx(11.1, abs=0.05)


def test_cosine_of_zero_and_of_scaled_vectors() -> None:
    assert np.allclose(cosine([[0, 0], [3, 0], [-1, 0]], [[2, 0], [1, 1]]), [[0, 0], [1, 0.5**0.5], [-1, -(0.5**0.5)]])


def test_the_interval_over_draws() -> None:
    found = spread([0.5, 0.6, 0.7])
    half = 4.302653 * 0.1 / 3**0.5  # Student's t of two degrees of freedom at 97.5 %
    assert (found.mean, found.low, found.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=1e-6)
    assert spread([0.25]).low == spread([0.25]).high == 0.25
    assert (spread([0.0, 1.0]).low, spread([0.0, 1.0]).high) == (0.0, 1.0)
