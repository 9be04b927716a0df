"""The protocol on features that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from iarbench.errors import UserError
from iarbench.retrieval.encoders import Encoder
from iarbench.retrieval.episodes import run_episodes
from iarbench.retrieval.evaluate import Drawn, Queries, retrievals, zero_shot
from iarbench.retrieval.source import Source


class Means(nn.Module):
    """The mean of every channel, and a constant that keeps directions apart."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((2, 3))


def flat(*levels: int) -> np.ndarray:
    return np.broadcast_to(np.array(levels, np.uint8), (8, 8, 3))


COLOURS = {"a": (7, 0, 0), "b": (0, 7, 0), "photos": (0, 0, 7)}
REAL = {"a": False, "b": False, "photos": True}


def asked(*answers: tuple[str, str]) -> Queries:
    """Queries (looks like, is)."""
    labels = tuple(label for _, label in answers)
    return Queries([flat(*COLOURS[looks]) for looks, _ in answers], labels, tuple(map(str, range(len(labels)))))


def test_ranks_are_counted_within_a_scope() -> None:
    encoder = Encoder(Source(), Means(), None)
    gallery = Drawn(1, [flat(*colour) for colour in COLOURS.values()], tuple(COLOURS))
    queries = {"none": asked(("a", "a"), ("a", "b"), ("b", "b"), ("photos", "photos"), ("photos", "a"))}
    rows = {row.scope: row for row in retrievals(encoder, [gallery, gallery], queries, REAL, None)}
    assert (rows["all"].classes, rows["all"].queries) == (3, 5)
    assert rows["all"].rank1.mean == 3 / 5
    # Among equals the wrong ones come first: two queries are wrong, their own image is third.
    assert rows["all"].mean_average_precision.mean == pytest.approx((3 + 1 / 3 + 1 / 3) / 5)
    assert (rows["generators"].classes, rows["generators"].queries) == (2, 4)
    # One looks like photographs, which are not there: a tie, hence wrong.
    assert rows["generators"].rank1.mean == 2 / 4
    assert rows["generators"].chance_mean_average_precision == (1 + 1 / 2) / 2
    assert rows["all"].rank1.low == rows["all"].rank1.high == rows["all"].rank1.mean


def test_zero_shot_weighs_generators_alike() -> None:
    queries = {"none": asked(("photos", "photos"), *[("a", "a")] * 3, ("photos", "b"))}
    (row,) = zero_shot(Encoder(Source(), Means(), torch.tensor([0.0, 0.0, 1.0])), queries, REAL)
    assert row.auroc.value == (1 + 0.5) / 2
    assert row.balanced_accuracy == (1 + 1 - 1 / 2) / 2
    assert zero_shot(Encoder(Source(), Means(), None), queries, REAL) == []


def test_episodes_of_classes_apart_are_all_right_and_of_noise_are_chance() -> None:
    rng = np.random.default_rng(0)
    apart = {name: np.eye(4)[place] + 0.01 * rng.random((20, 4)) for place, name in enumerate("abcd")}
    assert run_episodes(apart, apart, 3, 2, 50, 0).accuracy.value == 1.0
    noise = {name: rng.standard_normal((50, 8)) for name in "abcd"}
    found = run_episodes(noise, {name: rng.standard_normal((50, 8)) for name in "abcd"}, 4, 1, 400, 0)
    assert found.chance == 0.25
    assert found.accuracy.value == pytest.approx(0.25, abs=0.03)


def test_episodes_are_of_their_seed() -> None:
    rng = np.random.default_rng(0)
    pools = [{name: rng.standard_normal((30, 4)) for name in "abc"} for _ in range(2)]
    assert run_episodes(*pools, 2, 1, 20, 0) == run_episodes(*pools, 2, 1, 20, 0)
    assert run_episodes(*pools, 2, 1, 20, 0) != run_episodes(*pools, 2, 1, 20, 1)


def test_impossible_episodes_are_one_line() -> None:
    pool = {name: np.ones((3, 2)) for name in "ab"}
    with pytest.raises(UserError, match="give 2 to 2 ways"):
        run_episodes(pool, pool, 3, 1, 1, 0)
    with pytest.raises(UserError, match="a has only 3 images"):
        run_episodes(pool, pool, 2, 4, 1, 0)
