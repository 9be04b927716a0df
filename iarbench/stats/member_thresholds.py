"""Thresholds that papers take from the target's *own* images: they bound how many of these are missed.

Nothing follows from them about the rate of false positives, which depends on images that were never looked at. Rows
therefore come from `iarbench.stats.thresholds`; these two are for whoever wants to repeat a paper's decision. Scores
are higher for images more likely made by the target, and an image below the threshold is not attributed to it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from iarbench.stats.thresholds import ScoreError

GRID = 10_000
"""Points at which AEDR's code evaluates the density."""


def kde_threshold(members: npt.ArrayLike, miss: float = 0.05) -> float:
    """AEDR's threshold (arXiv 2507.18988 and its cal_threshold.py): a quantile of a smoothed distribution.

    Gaussian kernel density with Scott's bandwidth of the members' losses (minus the scores), on 10,000 points from one
    standard deviation below the least to one above the greatest; its running sum, interpolated, gives the quantile
    1 - ``miss``. The code's default is 0.05; the paper takes another for each model, the one of highest accuracy on
    images that include non-members, from 0.003 to 0.085.

    Args:
        members: scores (n,) of images of the target, n >= 2, not all alike.
        miss: the fraction of the target's images that may fall below the threshold, in (0, 1).

    Raises:
        ScoreError: too few scores, not finite ones, all alike, or a fraction outside (0, 1).
    """
    losses = -_usable(members, miss, least=2)
    deviation = losses.std(ddof=1)
    if deviation == 0:
        raise ScoreError(f"all {len(losses)} scores of members are {-losses[0]:g}; a density needs some that differ")
    grid = np.linspace(losses.min() - deviation, losses.max() + deviation, GRID)
    mass = np.cumsum(stats.gaussian_kde(losses)(grid))
    return -float(np.interp(1 - miss, mass / mass[-1], grid))


def outlier_threshold(members: npt.ArrayLike, alpha: float = 0.05) -> float:
    """RONAN's decision (arXiv 2305.18439, Algorithm 1), a one-sided outlier test against the target's images: its
    constants are from the paper, unverified; the released code has no decision at all.

    Grubbs' test: an image is an outlier when its score lies more than G standard deviations below the members' mean,
    G = (n - 1) / sqrt(n) * sqrt(t^2 / (n - 2 + t^2)), t the upper quantile alpha / n of Student's distribution with
    n - 2 degrees of freedom. Mean and deviation (ddof 1) are those of ``members`` alone, as they are computed
    beforehand; Grubbs' own test counts the suspect among them.

    Args:
        members: scores (n,) of images of the target, n >= 3; the paper is said to take n = 100.
        alpha: level of the test, in (0, 1); the paper is said to take 0.05.

    Raises:
        ScoreError: too few scores, not finite ones, or a level outside (0, 1).
    """
    scores = _usable(members, alpha, least=3)
    n = len(scores)
    t = float(stats.t.isf(alpha / n, n - 2))
    critical = (n - 1) / math.sqrt(n) * math.sqrt(t**2 / (n - 2 + t**2))
    return float(scores.mean() - critical * scores.std(ddof=1))


def _usable(members: npt.ArrayLike, fraction: float, least: int) -> npt.NDArray[np.float64]:
    scores = np.asarray(members, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < least:
        raise ScoreError(f"scores of members have shape {scores.shape}; give {least} or more in one dimension")
    if not np.isfinite(scores).all():
        raise ScoreError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores of members are not finite")
    if not 0 < fraction < 1:
        raise ScoreError(f"{fraction:g} is not between 0 and 1; write 5 % as 0.05")
    return scores
