from __future__ import annotations

import numpy as np
import pytest
import run_folder

from iarbench.results.image_index import ImageIndex, Role
from iarbench.results.redraws import Redraws

POOLED = Role((("photos",), ("alpha-mini", "beta-mini")), "calibration")


def test_every_set_weighs_the_same_in_every_resample_and_crops_go_together() -> None:
    index = ImageIndex(run_folder.index(40))
    drawn = Redraws(50).of(index, POOLED)
    weights = drawn.weights
    assert weights.shape == (50, 120)
    assert weights[:, :40].sum(axis=1) == pytest.approx(np.full(50, 0.5))
    assert weights[:, 40:].sum(axis=1) == pytest.approx(np.full(50, 0.5))
    crops = weights[:, :40].reshape(50, 10, 4)
    assert (crops == crops[:, :, :1]).all()
    assert len(np.unique(crops[:, :, 0])) > 3
    assert np.array_equal(drawn(np.array([7, 90])), weights[:, [7, 90]])
    expected = weights.mean(axis=0)
    assert expected[:40].mean() == pytest.approx(0.5 / 40)


def test_the_same_images_are_drawn_alike_in_every_role_and_run() -> None:
    one, again = (ImageIndex(run_folder.index(40)) for _ in range(2))
    redraws = Redraws(20)
    pooled = redraws.of(one, POOLED)
    alone = redraws.of(again, Role((("beta-mini",),), "calibration"))
    # images of a set stand by id: alpha's before beta's
    assert np.array_equal(pooled.counts[:, pooled.groups[80:]], alone.counts[:, alone.groups])
    other = redraws.of(one, Role((("beta-mini",),), "test"))
    assert not np.array_equal(other.counts, alone.counts)
    assert np.array_equal(Redraws(20).of(again, POOLED).weights, pooled.weights)
