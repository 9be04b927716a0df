"""Two detectors on the same images: what is common to both (a hard image, a lucky calibration set) cancels.

TPR at an FPR: bootstrap over whole groups of members and of calibration images, each detector's threshold set again in
every draw. AUROC: DeLong's covariance and the intervals of both areas, in closed form; it is not valid for a TPR at a
fixed FPR, whose threshold it does not know (DeLong et al. 1988; Zou and Donner 2008; Dodd and Pepe 2003).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtr

from iarbench.stats.intervals import DRAWS, bootstrap, percentiles, variance_of_mean
from iarbench.stats.metrics import Estimate, area_of, need_both, placements
from iarbench.stats.thresholds import (
    FloatArray,
    IntArray,
    ScoreError,
    Scores,
    cut,
    descending,
    tail_mass,
    threshold,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number of detector A minus that of detector B, and the two-sided p-value of "no difference"."""

    difference: Estimate
    p_value: float


def same_images(a: Scores, b: Scores) -> None:
    """Raise ScoreError when the scores cannot be of the same images in the same order."""
    if not (np.array_equal(a.groups, b.groups) and np.array_equal(a.sets, b.sets)):
        raise ScoreError("a paired comparison needs the same images in the same order for both detectors")


WeightsAt = Callable[[IntArray], FloatArray]
"""Gives the weights (b, k) that b resamples of a sample give the images at k places; rows over all places sum to 1."""


def resampled_tpr(
    members: Scores, weights: FloatArray, calibration: Scores, calibrating: WeightsAt, fpr: float
) -> FloatArray:
    """TPR (b,) at the conformal threshold in each of b resamples of the members, given as weights (b, m) whose rows sum
    to 1 (`intervals.resampled_weights`), and of the calibration images."""
    order = descending(calibration)
    head = order[: _far_enough(calibration.weights[order], fpr)]
    at = cut(tail_mass(calibration, calibrating(head), conformal=True), fpr)
    if (at == len(head) - 1).any():  # the threshold of some resample may lie farther down
        head = order
        at = cut(tail_mass(calibration, calibrating(head), conformal=True), fpr)
    cuts, which = np.unique(at, return_inverse=True)
    flagged = members.scores[:, None] > calibration.scores[head[cuts]]
    mass = weights @ flagged.astype(np.float64)
    # the sum of a thousand roundings must not exceed all of them
    return np.minimum(mass[np.arange(len(mass)), which], 1.0)


def _far_enough(weights: FloatArray, fpr: float) -> int:
    """How many of the highest scores hold the threshold of nearly every resample."""
    return int(np.searchsorted(np.cumsum(weights), 4 * fpr + 10 * weights.max())) + 1


def resampled_difference(
    a: tuple[Scores, Scores],
    b: tuple[Scores, Scores],
    fpr: float,
    *,
    seed: int,
    draws: int = DRAWS,
    streams: tuple[str, str] = ("members", "calibration"),
) -> FloatArray:
    """TPR of A minus that of B (draws,), each (members, calibration), in resamples that draw the same groups for both.

    `streams`: names of the random streams that draw members and calibration images; where names and seed are the same,
    so are the draws.
    """

    def statistic(weights: Mapping[str, FloatArray]) -> FloatArray:
        own, others = (weights[name] for name in streams)
        found = [resampled_tpr(m, own, c, partial(np.take, others, axis=1), fpr) for m, c in (a, b)]
        return (found[0] - found[1])[:, None]

    return bootstrap(dict(zip(streams, a, strict=True)), statistic, seed, draws)[:, 0]


def compare_resampled(value: float, draws: FloatArray) -> Comparison:
    """The comparison that a difference and its bootstrap draws (b,) make."""
    extreme = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    low, high = percentiles(draws)
    return Comparison(
        Estimate(value, min(low, value), max(high, value)), min(1.0, 2 * (extreme + 1) / (len(draws) + 1))
    )


def delong(a: tuple[Scores, Scores], b: tuple[Scores, Scores]) -> Comparison:
    """AUROC of A minus that of B, each (members, non-members) on the same images.

    p-value: normal, with DeLong's variance (DeLong et al. 1988; over groups: Obuchowski 1997). Interval: MOVER (Zou and
    Donner 2008), which puts the intervals of both areas together by DeLong's correlation; near 1 the normal interval
    held 89 to 93 % in simulation. So a p-value and an interval may differ about a difference of 0. Raises ScoreError
    when the images cannot be the same.
    """
    for one, other in zip(a, b, strict=True):
        same_images(one, other)
    need_both(*a)
    above = [placements(members.scores, nonmembers) for members, nonmembers in (a, b)]
    below = [1 - placements(nonmembers.scores, members) for members, nonmembers in (a, b)]
    value = a[0].mean(above[0]) - b[0].mean(above[1])
    # of A, of B, and of their difference
    of_a, of_b, variance = (
        variance_of_mean(x, a[0]) + variance_of_mean(y, a[1])
        for x, y in ((above[0], below[0]), (above[1], below[1]), (np.subtract(*above), np.subtract(*below)))
    )
    if variance <= 0:  # every image is placed alike by both, or all by the same shift
        return Comparison(Estimate(value, value, value), 1.0 if value == 0 else 0.0)
    correlation = (of_a + of_b - variance) / (2 * math.sqrt(of_a * of_b)) if of_a > 0 and of_b > 0 else 0.0
    area_a, area_b = (area_of(*side, x, y) for side, x, y in zip((a, b), above, below, strict=True))
    down = _together(area_a.value - area_a.low, area_b.high - area_b.value, correlation)
    up = _together(area_a.high - area_a.value, area_b.value - area_b.low, correlation)
    return Comparison(
        Estimate(value, max(-1.0, value - down), min(1.0, value + up)),
        float(2 * ndtr(-abs(value) / math.sqrt(variance))),
    )


def _together(one: float, other: float, correlation: float) -> float:
    """How far a difference reaches, from how far its two parts do."""
    return math.sqrt(max(0.0, one**2 + other**2 - 2 * correlation * one * other))


def compare_tpr(
    a: tuple[Scores, Scores], b: tuple[Scores, Scores], fpr: float, *, seed: int = 0, draws: int = DRAWS
) -> Comparison:
    """TPR of A minus that of B at `fpr`, each (members, calibration) on the same images in the same order.

    Every resample draws the same groups for both. Raises ScoreError when the images cannot be the same, or the
    calibration set is too small for the rate.
    """
    for one, other in zip(a, b, strict=True):
        same_images(one, other)
    value_a, value_b = (members.mean(members.scores > threshold(calibration, fpr)) for members, calibration in (a, b))
    return compare_resampled(value_a - value_b, resampled_difference(a, b, fpr, seed=seed, draws=draws))
