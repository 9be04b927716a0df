"""A 95% interval for the TPR at a false-positive rate, when the threshold itself comes from a sample.

What is asked for is the TPR where the FPR *is* the nominal rate a: a property of the detector, not of the calibration
images. Two samples are uncertain: non-members say where the threshold t lies, members how many of them are above it.
By the binomial tail (mid-p) of how many non-members lie above it, a threshold t is z0 standard deviations away from
the rate a; by Clopper-Pearson, a TPR is z1 away from how many members lie above t. The interval holds every TPR for
which some t has z0^2 + z1^2 <= 1.96^2: the profile of a two-sample likelihood ratio (Claeskens, Jing, Peng and Zhou
2003 for the empirical likelihood; Qin, Davis and Jing 2011), with binomial tails in place of its chi-squared
approximation. Only the order of scores enters. Ties and jumps need no assumption, since every observed value is tried
as t. Grouped and weighted images count as their effective size (`cuts.Cuts`).

Where "no non-member above the threshold" has a probability above 2.5% (independent images: n < 368 at 1%, n < 72 at
5%), t has no upper limit and the TPR no lower one: it is None. (At n = 300 the mid-p tail alone would still give one,
but with heavy tails it held in 92.4% of the simulations.) Coverage: benchmarks/bench_coverage.py.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaincinv, ndtr, ndtri

from iarbench.stats.cuts import Cuts
from iarbench.stats.intervals import CONFIDENCE
from iarbench.stats.thresholds import FloatArray

Z = float(ndtri((1 + CONFIDENCE) / 2))
SMALLEST = 1e-12
"""Real-valued counts below this are 0."""


def tpr_interval(members: Cuts, nonmembers: Cuts, fpr: float) -> tuple[float | None, float]:
    """Lower and upper end, in [0, 1], of the TPR of `members` where the FPR of the population of `nonmembers` is `fpr`.

    The lower end is None where the non-members are too few to give the threshold an upper limit.
    """
    values = _candidates(nonmembers, fpr)
    reached = members.above(values)
    below = _tail(nonmembers, nonmembers.above(values), fpr)
    at_or_below = _tail(nonmembers, np.searchsorted(-nonmembers.scores, -values, side="right"), fpr)
    # a value is too high for t when too few non-members reach it, too low when too many exceed it
    too_high, too_low = _deviations(at_or_below), _deviations(1 - below)
    high = _upper(members, reached[too_low < Z], too_low[too_low < Z]).max(initial=0.0)
    if (1 - fpr) ** nonmembers.size[0] > (1 - CONFIDENCE) / 2:
        return None, float(high)
    return float(_lower(members, reached[too_high < Z], too_high[too_high < Z]).min(initial=1.0)), float(high)


def _candidates(cuts: Cuts, fpr: float) -> FloatArray:
    """The distinct scores that could be the threshold: all but those far below, whose share is out of the question."""
    size = cuts.size.min()
    far = int(np.searchsorted(cuts.share, fpr + 5 * np.sqrt(fpr / size) + 15 / size, side="right"))
    scores = cuts.scores[:far]
    return scores[np.concatenate([[True], np.diff(scores) != 0])]


def _tail(cuts: Cuts, at: np.ndarray, rate: float) -> FloatArray:
    """Mid-p tail P(fewer) + P(as many)/2 of the effective counts at the cuts `at`, if the true share were `rate`."""
    size = cuts.size[at]
    count = np.minimum(cuts.share[at] * size, size)
    as_many = 1 - betainc(count + 1, np.maximum(size - count, SMALLEST), rate)
    fewer = np.where(count > SMALLEST, 1 - betainc(np.maximum(count, SMALLEST), size - count + 1, rate), 0.0)
    return np.asarray((as_many + fewer) / 2)


def _deviations(tail: FloatArray) -> FloatArray:
    """Standard deviations by which a lower tail is surprising; 0 where it is not."""
    return np.maximum(0.0, -ndtri(np.maximum(tail, 1e-300)))


def _remaining(deviations: FloatArray) -> FloatArray:
    """The one-sided error that is left for the members."""
    return np.asarray(ndtr(-np.sqrt(np.maximum(Z**2 - deviations**2, 0.0))))


def _lower(cuts: Cuts, at: np.ndarray, deviations: FloatArray) -> FloatArray:
    size = cuts.size[at]
    count = np.minimum(cuts.share[at] * size, size)
    found = betaincinv(np.maximum(count, SMALLEST), size - count + 1, _remaining(deviations))
    return np.where(count > SMALLEST, found, 0.0)


def _upper(cuts: Cuts, at: np.ndarray, deviations: FloatArray) -> FloatArray:
    size = cuts.size[at]
    rest = np.maximum(size - cuts.share[at] * size, 0.0)
    found = betaincinv(size - rest + 1, np.maximum(rest, SMALLEST), 1 - _remaining(deviations))
    return np.where(rest > 1e-9 * size, found, 1.0)
