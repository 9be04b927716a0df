"""AUROC and TPR at a nominal FPR, each with a 95% interval.

Scores are higher for members. Nothing is rescaled: only their order matters, so negative scores are as good as any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from iarbench.stats import guaranteed
from iarbench.stats.cuts import cuts_of
from iarbench.stats.intervals import RARE, clopper_pearson, independent_groups, variance_of_mean
from iarbench.stats.thresholds import FloatArray, ScoreError, Scores, refusal, threshold
from iarbench.stats.tpr_interval import tpr_interval

Rule = Literal["conformal", "empirical", "guaranteed"]
About = Literal["at-fpr", "at-threshold"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number in its own unit with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate in [0, 1] with its 95% interval; an end is None where the sample gives none.

    `about`: whether the interval is about the rate where the FPR is exactly the nominal one, or at this very threshold.
    """

    value: float
    low: float | None
    high: float | None
    about: About


@dataclass(frozen=True, slots=True)
class Reference:
    """The non-members a threshold comes from, and how: `conformal` from calibration images, `guaranteed` likewise
    (`iarbench.stats.guaranteed`), `empirical` from the test non-members themselves, the papers' oracle."""

    scores: Scores
    rule: Rule = "conformal"

    def refusal(self, fpr: float) -> str | None:
        """Why there is no threshold at `fpr`, or None."""
        return guaranteed.refusal(self.scores, fpr) if self.rule == "guaranteed" else refusal(self.scores, fpr)

    def threshold(self, fpr: float) -> float:
        """The score above which an image is flagged. Raises ScoreError where `refusal` says why."""
        if self.rule == "guaranteed":
            return guaranteed.guaranteed_threshold(self.scores, fpr)
        return threshold(self.scores, fpr, self.rule == "conformal")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One threshold and what it does: `tpr` on members, `fpr` on test non-members; or the `reason` there is none."""

    fpr_nominal: float
    threshold: float | None
    tpr: Rate | None
    fpr: Rate | None
    reason: str | None = None


def auroc(members: Scores, nonmembers: Scores) -> Estimate:
    """P(member > non-member) + P(equal)/2, with several sets averaged with equal weight.

    Interval: DeLong's variance V (DeLong et al. 1988) over groups (Obuchowski 1997) makes the area A worth
    N = A(1-A)/V independent comparisons, for Clopper-Pearson. Where (1-A)N, or AN, is below `RARE`, few images decide
    and V says little: N is then at most min(m, n), which is what the bound V <= A(1-A)/min(m, n) of Birnbaum and
    Klose (1957) leaves. A symmetric interval on the logit scale covers as little as 64% there (heavy tails, A = 0.999).
    """
    need_both(members, nonmembers)
    above, below = placements(members.scores, nonmembers), 1 - placements(nonmembers.scores, members)
    return area_of(members, nonmembers, above, below)


def area_of(members: Scores, nonmembers: Scores, above: FloatArray, below: FloatArray) -> Estimate:
    """`auroc` where each member's share of non-members below it and each non-member's share of members that are not are
    known, (m,) and (n,)."""
    value = members.mean(above)
    variance = variance_of_mean(above, members) + variance_of_mean(below, nonmembers)
    size = value * (1 - value) / variance if variance > 0 else 0.0
    if min(value, 1 - value) * size < RARE:
        least = min(independent_groups(members), independent_groups(nonmembers))
        size = min(size, least) if size else least
    return Estimate(value, *clopper_pearson(value * size, size))


def placements(scores: FloatArray, others: Scores) -> FloatArray:
    """Share of `others` below each score, ties half, sets weighted equally. Counted, so exactly 0 or 1 when it is."""
    shares = []
    for code in range(others.n_sets):
        known = np.sort(others.scores[others.sets == code])
        twice = np.searchsorted(known, scores, side="left") + np.searchsorted(known, scores, side="right")
        shares.append(twice / (2 * len(known)))
    return np.mean(shares, axis=0)


def tpr_at_fpr(
    members: Scores, nonmembers: Scores, references: Mapping[str, Reference], fprs: Sequence[float]
) -> dict[str, list[OperatingPoint]]:
    """TPR on `members` and achieved FPR on `nonmembers`, for each named reference at each nominal rate.

    The TPR's interval knows that the threshold is itself uncertain (`tpr_interval`). Where the non-members are too few
    for that, and for a guaranteed threshold, which is no estimate, it is Clopper-Pearson's at this very threshold, as
    `about` says. So is the achieved FPR's; from the non-members that set the threshold no interval for their own FPR
    follows: that of an oracle is None.
    """
    need_both(members, nonmembers)
    return {
        name: [_operating_point(members, nonmembers, reference, fpr) for fpr in fprs]
        for name, reference in references.items()
    }


def _operating_point(members: Scores, nonmembers: Scores, reference: Reference, fpr: float) -> OperatingPoint:
    if reason := reference.refusal(fpr):
        return OperatingPoint(fpr, None, None, None, reason)
    at = reference.threshold(fpr)
    tpr = Rate(*cuts_of(members).proportion(at), "at-threshold")
    if reference.rule != "guaranteed":
        low, high = tpr_interval(cuts_of(members), cuts_of(reference.scores), fpr)
        if low is not None:
            tpr = Rate(tpr.value, min(tpr.value, low), max(tpr.value, high), "at-fpr")
    achieved = Rate(*cuts_of(nonmembers).proportion(at), "at-threshold")
    if reference.rule == "empirical":
        achieved = Rate(achieved.value, None, None, "at-threshold")
    return OperatingPoint(fpr, at, tpr, achieved)


def need_both(members: Scores, nonmembers: Scores) -> None:
    if not len(members) or not len(nonmembers):
        raise ScoreError(f"need members and non-members, got {len(members)} and {len(nonmembers)}")
