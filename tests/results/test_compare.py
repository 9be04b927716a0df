from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import run_folder

from iarbench.errors import UserError
from iarbench.results.compare import compare_cells
from iarbench.results.compute import cells_of
from iarbench.stats.paired import compare_tpr, delong


@pytest.fixture(scope="module")
def images() -> pd.DataFrame:
    return run_folder.index(400)


def test_a_clearly_better_detector_is_said_to_be(images: pd.DataFrame) -> None:
    better, worse = (
        list(cells_of(run_folder.run(images, shift=shift, seed=seed), images, run_folder.task()))
        for shift, seed in ((4.0, 1), (2.5, 2))
    )
    found = compare_cells(better, worse, fpr=0.01, nonmember_set="other-generators", draws=200)
    assert [(pair.target, pair.attack) for pair in found.pairs] == [
        (target, attack) for target in run_folder.GENERATORS for attack in ("none", "jpeg50")
    ]
    pair = found.pairs[0]
    members, nonmembers, calibration = better[0].samples("none", "other-generators")
    m, n, c = worse[0].samples("none", "other-generators")
    alone = compare_tpr((members, calibration), (m, c), 0.01, draws=200)
    assert pair.tpr is not None and pair.auroc == delong((members, nonmembers), (m, n))  # noqa: PT018
    assert pair.tpr.difference.value == alone.difference.value == pytest.approx(pair.a - pair.b)
    assert pair.tpr.difference.low == pytest.approx(alone.difference.low, abs=0.05)
    assert found.mean is not None
    assert found.mean.difference.value == pytest.approx(np.mean([p.tpr.difference.value for p in found.pairs if p.tpr]))
    text = found.sentence("A", "B")
    assert text.startswith("At 1% FPR A finds ")
    assert "points more of the targets' images than B over 4 pairs of target and attack" in text
    assert "clearly better on 4, clearly worse on 0 of 4 (Holm, 5%)" in text
    back = compare_cells(worse, better, fpr=0.01, nonmember_set="other-generators", draws=200)
    assert back.mean is not None and back.mean.difference.value == -found.mean.difference.value  # noqa: PT018


def test_too_few_calibration_images_are_no_ground_for_a_verdict(images: pd.DataFrame) -> None:
    cells = list(cells_of(run_folder.run(images, ("none",)), images, run_folder.task()))
    found = compare_cells(cells, cells, fpr=0.01, nonmember_set="real")  # 400 crops of 100 photographs
    assert found.mean is None
    assert "too few to draw a threshold at FPR 1% anew" in found.sentence("A", "B")
    assert all(pair.auroc and pair.auroc.p_value == 1 for pair in found.pairs)


def test_nothing_in_common(images: pd.DataFrame) -> None:
    cells = list(cells_of(run_folder.run(images, ("none",)), images, run_folder.task()))
    with pytest.raises(UserError, match="no target and attack in common"):
        compare_cells(cells, cells, fpr=0.01, nonmember_set="real", attacks=["jpeg10"])
