"""A threshold that keeps its rate with 95% confidence: the Neyman-Pearson umbrella (Tong, Feng and Li 2018).

The conformal threshold keeps the rate on average over calibration sets; given one set, the rate of new non-members is
as often above as below it. Here P(FPR > a) <= d over calibration sets: of n independent non-members as many may lie
above the threshold as a binomial count with rate a is at most with probability d. That takes (1 - a)^n <= d: with
d = 5% at least 299 at 1%, 59 at 5%.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betainc

from iarbench.stats.thresholds import ScoreError, Scores

VIOLATION = 0.05
"""Probability d that the calibration images mislead and the true rate is above the nominal one."""


def allowed_above(n: int, fpr: float, violation: float = VIOLATION) -> int | None:
    """How many of `n` independent non-members may lie above the threshold; None where `n` is too small for any.

    The largest c with P(X <= c) <= `violation` for X binomial (n, fpr).
    """
    counts = np.arange(n)
    fits = 1 - betainc(counts + 1, n - counts, fpr) <= violation
    return int(fits.sum()) - 1 if fits.any() else None


def needed(fpr: float, violation: float = VIOLATION) -> int:
    """The fewest independent non-members for which there is such a threshold."""
    return math.ceil(math.log(violation) / math.log1p(-fpr) - 1e-9)


def refusal(reference: Scores, fpr: float) -> str | None:
    """Why there is no guaranteed threshold at `fpr`, or None."""
    if not len(reference):
        return f"a guaranteed FPR of {100 * fpr:.3g}% needs {needed(fpr)} independent non-members; there are none"
    least = needed(fpr, VIOLATION / reference.n_sets)
    sizes = [len(_first_of_groups(reference, code)) for code in range(reference.n_sets)]
    if min(sizes) >= least:
        return None
    where = " in every set" if reference.n_sets > 1 else ""
    what = f"a guaranteed FPR of {100 * fpr:.3g}% needs {least} independent non-members{where}, one a group"
    return f"{what}; there are {' and '.join(map(str, sorted(set(sizes))))}"


def guaranteed_threshold(reference: Scores, fpr: float) -> float:
    """The score above which an image is flagged, so that with 95% confidence the FPR is at most `fpr`.

    Of each group the first image counts, whatever its score: images of a group are not independent. With S sets the
    threshold is the highest of theirs, each at d/S, so that the rate holds on each of them and on their mean. A set
    that holds equal numbers of several sources counts as if drawn from their mixture: by Hoeffding (1956) its count is
    less spread than a binomial one, so the promise holds.

    Raises:
        ScoreError: too few independent images, see `refusal`.
    """
    if reason := refusal(reference, fpr):
        raise ScoreError(reason)
    return max(_of_set(_first_of_groups(reference, code), fpr, reference.n_sets) for code in range(reference.n_sets))


def _of_set(scores: np.ndarray, fpr: float, n_sets: int) -> float:
    above = allowed_above(len(scores), fpr, VIOLATION / n_sets)
    assert above is not None  # `refusal` has seen to it
    return float(np.sort(scores)[::-1][above])


def _first_of_groups(reference: Scores, code: int) -> np.ndarray:
    inside = reference.sets == code
    first = np.unique(reference.groups[inside], return_index=True)[1]
    return np.asarray(reference.scores[inside][np.sort(first)])
