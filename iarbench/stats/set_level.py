"""What many images say together about one target: is any of them its own, and how many are?

Both answers hold for images that are exchangeable with those whose scores are known: an image of the target with its
known members, any other image with one of the sets of known non-members, whichever (a folder may mix them). Scores are
higher for images more likely made by the target.

**At least one** (`online_p_values`, `e_process`). Null hypothesis: none is. The p-values of images tested against one
and the same calibration set depend on each other, so that a product over them proves nothing. Here the image tested
joins the calibration set: such p-values are independent (Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random
World*, ch. 2 and 7). Which set an image belongs to is not known, so that the images seen before are counted as is
worst, and the largest p-value over the sets is taken; it is at least that of the true set. A bet of 1 on
"p <= r" that pays 1/r is an e-value (Vovk and Wang 2021, *E-values: calibration, combination and applications*,
section 2); what such bets make of 1 in the end is one too, and stays below 1/a at all times with probability 1 - a
(Ville's inequality).

**How many** (`share`). Images above a threshold are counted. Of K members and n - K others, the number above it is a
sum of two beta-binomial counts, whose parameters are what is known of members and non-members (for the others exact:
the number of new scores above the k-th largest of N is beta-binomial with k and N + 1 - k). All K are kept for which
the count is not too large or too small.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from iarbench.stats.thresholds import TOLERANCE, FloatArray, IntArray, ScoreError

FPR = 0.01
"""Rate at which non-members of the hardest set lie above the threshold that images are counted by."""
TAIL = 0.025
"""Error at either end of an interval."""
RATES = (1 / 200, 1 / 50, 1 / 20, 1 / 8)
STAKES = (0.7, 0.3, 0.1, 0.03)
STOPS = (16, 64, 256, 1024, math.inf)
"""Bets of the e-value: at each image a part of what there is, one of `STAKES`, is set on a p-value of at most one of
`RATES`, which pays 1 / rate; after so many images (`STOPS`) the bet is kept as it is. Members that were seen join the
calibration, so that later ones surprise less: without stops, half of 5,000 would prove less than half of 100."""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of members among some images, with its 95 % interval; all three in [0, 1].

    `value` is None where members and non-members cannot be told apart. `flagged`: images above `threshold`.
    """

    value: float | None
    low: float
    high: float
    flagged: int
    threshold: float


@dataclass(frozen=True, slots=True)
class SetVerdict:
    """What `images` images say together. `share` is None where no score of a member is known; `log10_e`: decimal
    logarithm of the e-value against "none is a member"; `p_anytime` in (0, 1]: the inverse of the largest e-value on
    the way, a p-value that may be looked at after any image."""

    images: int
    share: Share | None
    log10_e: float
    p_anytime: float


def judge(
    scores: npt.ArrayLike, members: Sequence[FloatArray], nonmembers: Sequence[FloatArray], fpr: float = FPR
) -> SetVerdict:
    """Both answers for images in an order that does not depend on their scores.

    Args:
        scores: (n,) of the images in question.
        members: known scores of images of the target, a (N,) for each source (it may be one of siblings that score
            alike); without any there is no `share`.
        nonmembers: known scores of others, a (N,) for each set.
        fpr: as in `share`.

    Raises:
        ScoreError: no images, nothing to compare with, or scores that are not finite.
    """
    x = _checked(scores)
    log_e = e_process(online_p_values(x, nonmembers))
    counted = share(x, members, nonmembers, fpr) if members else None
    return SetVerdict(len(x), counted, float(log_e[-1]) / math.log(10), math.exp(-max(0.0, float(log_e.max()))))


def online_p_values(scores: npt.ArrayLike, nonmembers: Sequence[FloatArray]) -> FloatArray:
    """p-value (n,) of each image given those before it, in (0, 1]: small = surprising for a non-member.

    With a_s known scores of set s (N_s of them) and c earlier images that are at least as high:
    max over s of (1 + a_s + c) / (N_s + 1 + c).
    """
    (x,) = _some([_checked(scores)], "images")
    known = [np.sort(_checked(values)) for values in _some(nonmembers, "non-members")]
    above = np.array([len(values) - np.searchsorted(values, x, side="left") for values in known])
    earlier = _earlier_at_least(x)
    sizes = np.array([[len(values)] for values in known])
    return np.asarray(((1 + above + earlier) / (sizes + 1 + earlier)).max(axis=0), dtype=np.float64)


def e_process(p: FloatArray) -> FloatArray:
    """Natural logarithm (n,) of the running e-value after each p-value (n,): the mean over all bets, each of which may
    lose but not gain on average, whatever came before.
    """
    rates, stakes = np.array(RATES)[:, None, None], np.array(STAKES)[:, None]
    gains = np.log1p(stakes * ((p <= rates + TOLERANCE) / rates - 1))
    runs = np.cumsum(gains, axis=-1).reshape(-1, len(p))
    kept = np.minimum(np.arange(len(p)), np.array(STOPS)[:, None] - 1).astype(np.intp)
    bets = runs[:, kept].reshape(-1, len(p))
    from scipy.special import logsumexp  # half a second; a single image needs none of it

    return np.asarray(logsumexp(bets, axis=0) - math.log(len(bets)), dtype=np.float64)


def share(
    scores: npt.ArrayLike, members: Sequence[FloatArray], nonmembers: Sequence[FloatArray], fpr: float = FPR
) -> Share:
    """The share of members among these images (not of what they were drawn from), with its 95 % interval.

    The threshold is the highest of those with `fpr` on one set each, or the smallest rate that a set allows. The lower
    end takes all others to be of the set that is flagged most, the upper end takes none of them to be flagged: the
    folder may hold other pictures than the calibration does. Where images were changed since they were made, fewer
    members are flagged than is known, and only the lower end holds.

    Raises:
        ScoreError: no images, nothing to compare with, or scores that are not finite.
    """
    (x,) = _some([_checked(scores)], "images")
    known = [_checked(values) for values in _some(members, "members")]
    others = [_checked(values) for values in _some(nonmembers, "non-members")]
    threshold = max(_kth_largest(values, fpr) for values in others)
    flagged = int((x > threshold).sum())
    hits, misses = ([int((values > threshold).sum()) for values in group] for group in (known, others))
    sizes_own, sizes_others = ([len(values) for values in group] for group in (known, others))
    n = len(x)

    def too_many(count: int) -> float:
        """The largest probability of so many flagged images or more when `count` are members."""
        own = [_beta_binomial(count, h + 1, m - h) for h, m in zip(hits, sizes_own, strict=True)]
        rest = [_beta_binomial(n - count, f + 1, m - f) for f, m in zip(misses, sizes_others, strict=True)]
        return max(_at_least(flagged, one, two) for one in own for two in rest)

    def too_few(count: int) -> float:
        """The largest probability of so few flagged images or fewer when `count` are members."""
        own = [_beta_binomial(count, h, m - h + 1) for h, m in zip(hits, sizes_own, strict=True)]
        return max(float(one[: flagged + 1].sum()) for one in own)

    tpr = float(np.mean(np.divide(hits, sizes_own)))
    false_rate = float(np.mean(np.divide(misses, sizes_others)))
    low = _first(n, lambda count: too_many(count) > TAIL)
    high = n - _first(n, lambda rest: too_few(n - rest) > TAIL)
    value = (flagged / n - false_rate) / (tpr - false_rate) if tpr > false_rate else None
    clipped = None if value is None else min(max(value, low / n), max(high, low) / n)
    return Share(clipped, low / n, max(high, low) / n, flagged, threshold)


def _kth_largest(values: FloatArray, fpr: float) -> float:
    """The score that new ones of this set exceed with probability `fpr`, or the largest of a small set."""
    k = max(1, math.floor((len(values) + 1) * fpr + TOLERANCE))
    return float(np.sort(values)[-k])


def _at_least(count: int, own: FloatArray, rest: FloatArray) -> float:
    """Probability that two independent counts, given by their probabilities from 0 on, are `count` or more in all."""
    tail = np.append(np.cumsum(rest[::-1])[::-1], 0.0)  # tail[i]: i or more of the rest
    missing = np.clip(count - np.arange(len(own)), 0, len(rest))
    return float(own @ tail[missing])


def _beta_binomial(n: int, a: int, b: int) -> FloatArray:
    """Probability (n + 1,) of 0..n successes at a beta-distributed rate; a = 0 is a rate of 0, b = 0 of 1."""
    if a == 0 or b == 0:
        return np.asarray(np.arange(n + 1) == (0 if a == 0 else n), dtype=np.float64)
    log = _log_factorials(2 ** (n + a + b).bit_length())
    ways = log[n] - log[: n + 1] - log[n::-1]
    drawn = log[a - 1 : a + n] + log[b - 1 : b + n][::-1] - log[n + a + b - 1]
    return np.asarray(np.exp(ways + drawn - (log[a - 1] + log[b - 1] - log[a + b - 1])), dtype=np.float64)


@cache
def _log_factorials(size: int) -> FloatArray:
    """log 0!, log 1!, ..., `size` of them."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size)))])


def _first(n: int, holds: Callable[[int], bool]) -> int:
    """The smallest of 0..n from which on it holds, n where it never does."""
    return bisect.bisect_left(range(n), True, key=holds)


def _earlier_at_least(x: FloatArray) -> IntArray:
    """How many of the scores before each one are at least as high, (n,)."""
    seen: list[float] = []
    counts = np.empty(len(x), dtype=np.intp)
    for place, value in enumerate(x.tolist()):
        counts[place] = len(seen) - bisect.bisect_left(seen, value)
        bisect.insort(seen, value)
    return counts


def _some(groups: Sequence[FloatArray], what: str) -> Sequence[FloatArray]:
    if not groups or not all(len(values) for values in groups):
        raise ScoreError(f"there are no scores of {what}")
    return groups


def _checked(scores: npt.ArrayLike) -> FloatArray:
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ScoreError("scores must be one-dimensional and finite")
    return x
