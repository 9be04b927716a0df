from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iarbench.stats.member_thresholds import kde_threshold, outlier_threshold
from iarbench.stats.thresholds import ScoreError

AEDR = Path(__file__).parents[1] / "baseline_goldens" / "aedr_scores.csv"
"""Losses and homogeneities of 500 images each, from the score files in the repository of AEDR; target: SD1.5."""


def aedr_scores(model: str) -> np.ndarray:
    rows = pd.read_csv(AEDR).query("model == @model")
    return -(rows["first_loss"] * rows["homogeneity"] / rows["second_loss"]).to_numpy()


def test_kde_threshold_is_the_published_one_to_the_last_digits() -> None:
    threshold = kde_threshold(aedr_scores("SD1.5"), 0.05)
    assert -threshold == pytest.approx(1.0364583773111364, rel=1e-13)
    assert (aedr_scores("SD1.5") >= threshold).sum() == 477
    assert (aedr_scores("SD2.1") >= threshold).sum() == 8


def test_kde_threshold_of_two_scores_lies_between_the_tails_of_two_bells() -> None:
    # bandwidth: Scott's 2^(-1/5) times the deviation; by symmetry half of the mass is below the middle
    assert kde_threshold([0.0, 1.0], 0.5) == pytest.approx(0.5, abs=1e-3)
    assert kde_threshold([0.0, 1.0], 0.1) < 0.0 < 1.0 < kde_threshold([0.0, 1.0], 0.9)


# One-sided critical values at 5 % in the tables of Grubbs and Beck (1972).
@pytest.mark.parametrize(("n", "critical"), [(3, 1.153), (10, 2.176), (20, 2.557), (50, 2.956)])
def test_outlier_threshold_is_as_many_deviations_off_as_the_tables_of_grubbs_say(n: int, critical: float) -> None:
    scores = np.random.default_rng(n).normal(5, 2, n)
    found = (scores.mean() - outlier_threshold(scores, 0.05)) / scores.std(ddof=1)
    assert found == pytest.approx(critical, abs=1.1e-3)


@pytest.mark.parametrize("threshold", [kde_threshold, outlier_threshold])
@pytest.mark.parametrize(
    ("scores", "fraction", "message"),
    [([1.0], 0.05, "or more"), ([1, 2, np.nan], 0.05, "1 of 3 .* not finite"), ([1, 2, 3], 5, "write 5 % as 0.05")],
)
def test_what_cannot_be_used_is_refused(threshold: object, scores: list[float], fraction: float, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        threshold(scores, fraction)  # type: ignore[operator]


def test_scores_that_are_all_alike_have_no_density() -> None:
    with pytest.raises(ScoreError, match="all 3 scores of members are 2"):
        kde_threshold([2.0, 2.0, 2.0])
