"""AUROC and TPR at a nominal FPR, each with a 95% interval, and the paired comparison of two detectors.

Scores are higher for members. Nothing is rescaled: only their order matters, so negative scores are as good as any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtri

from iarbench.stats.intervals import (
    CONFIDENCE,
    DRAWS,
    bootstrap,
    clopper_pearson,
    independent_groups,
    percentiles,
    proportion,
    variance_of_mean,
)
from iarbench.stats.thresholds import FloatArray, ScoreError, Scores, cut, descending, refusal, tail_mass, threshold


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number in its own unit with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a threshold comes from: calibration non-members (`conformal`), or the test non-members for the oracle."""

    scores: Scores
    conformal: bool = True


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One threshold and what it does: `tpr` on members, `fpr` on test non-members; or the `reason` there is none."""

    fpr_nominal: float
    threshold: float | None
    tpr: Estimate | None
    fpr: Estimate | None
    reason: str | None = None


def auroc(members: Scores, nonmembers: Scores) -> Estimate:
    """P(member > non-member) + P(equal)/2, with several sets averaged with equal weight.

    Interval: DeLong's variance (DeLong et al. 1988) over groups (Obuchowski 1997), symmetric on the logit scale. At
    exactly 0 or 1 that variance vanishes; there Var <= A(1-A)/min(m, n) (Birnbaum and Klose 1957) gives an effective
    size for Clopper-Pearson. Constant scores give 0.5.
    """
    _need_both(members, nonmembers)
    above = _placements(members.scores, nonmembers)
    value = members.mean(above)
    if value in (0.0, 1.0):
        size = min(independent_groups(members), independent_groups(nonmembers))
        return Estimate(value, *clopper_pearson(value * size, size))
    below = 1 - _placements(nonmembers.scores, members)
    error = math.sqrt(variance_of_mean(above, members) + variance_of_mean(below, nonmembers))
    spread = float(ndtri((1 + CONFIDENCE) / 2)) * error / (value * (1 - value))
    return Estimate(value, float(expit(logit(value) - spread)), float(expit(logit(value) + spread)))


def _placements(scores: FloatArray, others: Scores) -> FloatArray:
    """Share of `others` below each score, ties half, sets weighted equally. Counted, so exactly 0 or 1 when it is."""
    shares = []
    for code in range(others.n_sets):
        known = np.sort(others.scores[others.sets == code])
        twice = np.searchsorted(known, scores, side="left") + np.searchsorted(known, scores, side="right")
        shares.append(twice / (2 * len(known)))
    return np.mean(shares, axis=0)


def tpr_at_fpr(
    members: Scores,
    nonmembers: Scores,
    references: Mapping[str, Reference],
    fprs: Sequence[float],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, list[OperatingPoint]]:
    """TPR on `members` and achieved FPR on `nonmembers`, for each named reference at each nominal rate.

    The TPR interval takes at each end the wider of two: Clopper-Pearson at the fixed threshold, and the bootstrap over
    member groups *and* reference groups, which alone knows that the threshold is itself uncertain but would shrink to a
    point at 0 or 1. The FPR interval is Clopper-Pearson's. Seeded: the same input gives the same interval.
    """
    _need_both(members, nonmembers)
    resampled = _bootstrap_tpr(members, references, fprs, seed, draws)
    points: dict[str, list[OperatingPoint]] = {}
    for place, (name, reference) in enumerate(references.items()):
        spread = resampled[:, place * len(fprs) : (place + 1) * len(fprs)]
        points[name] = [
            _operating_point(members, nonmembers, reference, fpr, spread[:, column]) for column, fpr in enumerate(fprs)
        ]
    return points


def _operating_point(
    members: Scores, nonmembers: Scores, reference: Reference, fpr: float, resampled: FloatArray
) -> OperatingPoint:
    if reason := refusal(reference.scores, fpr):
        return OperatingPoint(fpr, None, None, None, reason)
    at = threshold(reference.scores, fpr, reference.conformal)
    value, low, high = proportion(members.scores > at, members)
    resampled_low, resampled_high = percentiles(resampled)
    tpr = Estimate(value, min(low, resampled_low), max(high, resampled_high))
    return OperatingPoint(fpr, at, tpr, Estimate(*proportion(nonmembers.scores > at, nonmembers)))


def _bootstrap_tpr(
    members: Scores, references: Mapping[str, Reference], fprs: Sequence[float], seed: int, draws: int
) -> FloatArray:
    """TPR (draws, references x fprs) of resamples; the members of a draw are the same for every reference."""
    order = descending(members)

    def statistic(weights: Mapping[str, FloatArray]) -> FloatArray:
        mass = _mass_above(weights["members"][:, order])
        each = [_resampled_tpr(members.scores[order], mass, r, weights[name], fprs) for name, r in references.items()]
        return np.concatenate(each, axis=1)

    samples = {"members": members} | {name: reference.scores for name, reference in references.items()}
    return bootstrap(samples, statistic, seed, draws)


def _mass_above(weights: FloatArray) -> FloatArray:
    """Cumulative weight (b, m + 1) of the first 0..m members, from `weights` (b, m) in descending score order."""
    mass = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=mass[:, 1:])
    return np.minimum(mass, 1.0)  # the sum of a thousand roundings must not exceed all of them


def _resampled_tpr(
    descending_members: FloatArray, mass: FloatArray, reference: Reference, weights: FloatArray, fprs: Sequence[float]
) -> FloatArray:
    """TPR (b, fprs): find the cut in each resampled reference, look up the mass of members above it."""
    order = descending(reference.scores)
    tail = tail_mass(reference.scores, weights[:, order], reference.conformal)
    # how many members lie strictly above each possible threshold: sorted once, not in every resample
    above = np.searchsorted(-descending_members, -reference.scores.scores[order], side="left")
    rows = np.arange(len(tail))
    return np.stack([mass[rows, above[cut(tail, fpr)]] for fpr in fprs], axis=1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """TPR of detector A minus TPR of detector B, and the two-sided bootstrap p-value of "no difference"."""

    difference: Estimate
    p_value: float


def compare(
    a: tuple[Scores, Scores], b: tuple[Scores, Scores], fpr: float, *, seed: int = 0, draws: int = DRAWS
) -> Comparison:
    """Paired bootstrap of two detectors at `fpr`, each (members, calibration) on the same images in the same order.

    Every resample draws the same groups for both, so what is common to both (a hard image, a lucky calibration set)
    cancels. Raises ScoreError when the images cannot be the same, or the calibration set is too small.
    """
    for one, other in zip(a, b, strict=True):
        if not (np.array_equal(one.groups, other.groups) and np.array_equal(one.sets, other.sets)):
            raise ScoreError("a paired comparison needs the same images in the same order for both detectors")
    value_a, value_b = (members.mean(members.scores > threshold(calibration, fpr)) for members, calibration in (a, b))
    # the random streams hang on the seed and on names only, so both detectors meet the same resamples
    spread = [_bootstrap_tpr(x[0], {"calibration": Reference(x[1])}, [fpr], seed, draws)[:, 0] for x in (a, b)]
    differences = spread[0] - spread[1]
    extreme = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    p_value = min(1.0, 2 * (extreme + 1) / (draws + 1))
    return Comparison(Estimate(value_a - value_b, *percentiles(differences)), p_value)


def _need_both(members: Scores, nonmembers: Scores) -> None:
    if not len(members) or not len(nonmembers):
        raise ScoreError(f"need members and non-members, got {len(members)} and {len(nonmembers)}")
