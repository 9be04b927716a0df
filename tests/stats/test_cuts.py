from __future__ import annotations

import numpy as np
import pytest

from iarbench.stats.cuts import cuts_of
from iarbench.stats.intervals import proportion
from iarbench.stats.thresholds import Scores


def samples() -> dict[str, Scores]:
    rng = np.random.default_rng(0)
    plain = Scores.of(rng.normal(size=80))
    tied = Scores.of(rng.integers(0, 9, 80))
    crops = Scores.of(np.repeat(rng.normal(size=25), 4) + rng.normal(size=100) / 4, np.repeat(np.arange(25), 4))
    uneven = Scores.of(rng.normal(size=60).round(1), rng.integers(0, 20, 60))
    return {
        "plain": plain, "tied": tied, "crops": crops, "uneven": uneven, "pooled": Scores.pool([plain, uneven, crops]),
        "one group": Scores.of(np.arange(5.0), ["a"] * 5), "one image": Scores.of([1.0]),
    }  # fmt: skip


@pytest.mark.parametrize("name", samples())
def test_every_cut_is_the_proportion_of_its_flags(name: str) -> None:
    sample = samples()[name]
    cuts = cuts_of(sample)
    for threshold in (-np.inf, *np.unique(sample.scores), np.inf):
        assert cuts.proportion(threshold) == pytest.approx(proportion(sample.scores > threshold, sample), abs=1e-9)


def test_ungrouped_images_all_count() -> None:
    assert cuts_of(Scores.of(np.arange(50.0))).size == pytest.approx(np.full(51, 50.0))


def test_a_group_is_one_image_where_few_groups_are_flagged() -> None:
    cuts = cuts_of(Scores.of(np.arange(100.0), np.repeat(np.arange(50), 2)))  # neighbours are crops of one photograph
    assert cuts.size[[0, 1, 2, 10, 90, 99, 100]] == pytest.approx(np.full(7, 50.0))
