"""Thresholds with a promised false-positive rate.

A score is higher for an image more likely made by the target; an image is *flagged* when its score is strictly above
the threshold, so a tie is never flagged. For one set of n calibration non-members and a nominal rate a, the conformal
p-value of a score x is p(x) = (1 + #{calibration >= x}) / (n + 1), and x is flagged when p(x) <= a. With
k = floor((n + 1) a) that is: x lies above the k-th largest calibration score. For an exchangeable new non-member
P(flagged) <= a, ties or not (Vovk et al., *Algorithmic Learning in a Random World*, ch. 2).

Several sets count equally: p(x) is the mean of their p-values. Its flagged share, averaged over the sets, is <= a too:
replace each set by itself plus one unseen draw, A_s. Then p(x) >= G(x) = mean_s #{A_s >= x} / (n_s + 1) whichever set
the new image comes from, and the share of draws with G <= a is at most a because G is their own upper tail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Codes = npt.NDArray[np.int32]

TOLERANCE = 1e-9  # (99 + 1) * 0.01 and its like must not fall on the wrong side of 1


class ScoreError(ValueError):
    """Scores from which no honest number follows: not finite, not one-dimensional, or not matching their groups."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Scores:
    """Scores of one side of a test.

    `scores` (n,) float64, higher = more likely a member, any range; `groups` (n,) codes of the statistical unit of each
    image (crops of one photograph share one); `sets` (n,) codes 0..S-1, in this order, of sets that count equally
    whatever their sizes.
    """

    scores: FloatArray
    groups: Codes
    sets: Codes

    @classmethod
    def of(cls, scores: npt.ArrayLike, groups: Sequence[object] | npt.NDArray[np.generic] | None = None) -> Scores:
        """One set; without `groups` every image is its own unit. Raises ScoreError on NaN or infinite scores."""
        values = np.asarray(scores, dtype=np.float64)
        if values.ndim != 1:
            raise ScoreError(f"scores must be one-dimensional, got shape {values.shape}")
        if bad := int((~np.isfinite(values)).sum()):
            raise ScoreError(f"{bad} of {len(values)} scores are not finite")
        if groups is None:
            codes = np.arange(len(values), dtype=np.int32)
        elif len(groups) != len(values):
            raise ScoreError(f"{len(values)} scores but {len(groups)} groups")
        else:
            codes = np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int32)
        return cls(values, codes, np.zeros(len(values), dtype=np.int32))

    @classmethod
    def pool(cls, parts: Sequence[Scores]) -> Scores:
        """The sets of all `parts` side by side, each with equal weight; groups stay within their part."""
        group_starts = np.cumsum([0] + [part.n_groups for part in parts], dtype=np.int32)
        set_starts = np.cumsum([0] + [part.n_sets for part in parts], dtype=np.int32)
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.groups + start for part, start in zip(parts, group_starts, strict=False)]),
            np.concatenate([part.sets + start for part, start in zip(parts, set_starts, strict=False)]),
        )

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def n_groups(self) -> int:
        return int(self.groups.max()) + 1 if len(self) else 0

    @property
    def n_sets(self) -> int:
        return int(self.sets.max()) + 1 if len(self) else 0

    @property
    def set_sizes(self) -> IntArray:
        return np.bincount(self.sets)

    @property
    def weights(self) -> FloatArray:
        """(n,) weight of each score: equal within a set, equal in all for each set, sum 1."""
        sizes = self.set_sizes
        return 1.0 / (len(sizes) * sizes[self.sets])

    def mean(self, values: npt.NDArray[np.generic]) -> float:
        """Mean over sets of the mean of `values` (n,) within each; exact where the values are constant."""
        return float(np.mean([np.mean(values[self.sets == code]) for code in range(self.n_sets)]))


def p_values(scores: npt.ArrayLike, calibration: Scores) -> FloatArray:
    """Conformal p-value of each score (m,), in (0, 1]: small = surprising for a non-member."""
    x = np.atleast_1d(np.asarray(scores, dtype=np.float64))
    per_set = []
    for code in range(calibration.n_sets):
        known = np.sort(calibration.scores[calibration.sets == code])
        at_least = len(known) - np.searchsorted(known, x, side="left")
        per_set.append((1 + at_least) / (len(known) + 1))
    return np.mean(per_set, axis=0)


def smallest_fpr(reference: Scores) -> float:
    """The smallest rate at which a threshold from `reference` can flag anything: 1/(n+1), averaged over sets."""
    return float(np.mean(1.0 / (reference.set_sizes + 1.0))) if len(reference) else math.inf


def refusal(reference: Scores, fpr: float) -> str | None:
    """Why `reference` is too small for a threshold at `fpr`, or None when it is large enough."""
    if smallest_fpr(reference) <= fpr + TOLERANCE:
        return None
    needed = math.ceil(1 / fpr - TOLERANCE) - 1
    what = f"FPR {100 * fpr:.3g}% needs {needed} non-members in every set for a threshold"
    if not len(reference):
        return f"{what}; there are none"
    sizes = sorted(set(reference.set_sizes.tolist()))
    return f"{what}; {' and '.join(map(str, sizes))} allow no less than {100 * smallest_fpr(reference):.3g}%"


def tail_mass(reference: Scores, weights: FloatArray, conformal: bool) -> FloatArray:
    """Upper-tail mass down to and including each score, for `weights` (..., k) of the k highest scores, descending.

    Conformal: a set holds n/(n+1) of its share and the unseen image the rest. Otherwise the plain empirical tail.
    """
    if not conformal:
        return np.cumsum(weights, axis=-1)
    sizes = reference.set_sizes
    shrink = (sizes / (sizes + 1.0))[reference.sets[descending(reference)[: weights.shape[-1]]]]
    return smallest_fpr(reference) + np.cumsum(weights * shrink, axis=-1)


def descending(sample: Scores) -> IntArray:
    """Order (n,) of `sample` from its highest score to its lowest, stable."""
    return np.argsort(-sample.scores, kind="stable")


def cut(tail: FloatArray, fpr: float) -> IntArray:
    """Index (...) in descending order of the first score whose tail mass exceeds `fpr`: the threshold is that score."""
    return np.minimum((tail <= fpr + TOLERANCE).sum(axis=-1), tail.shape[-1] - 1)


def threshold(reference: Scores, fpr: float, conformal: bool = True) -> float:
    """The score above which an image is flagged.

    `conformal=True`: `reference` are calibration non-members, and the expected rate on new ones is <= `fpr`.
    `conformal=False`: the oracle of the papers, the last ROC point of `reference` itself with FPR <= `fpr`.
    Raises ScoreError when `reference` is too small for `fpr` (see `refusal`).
    """
    if reason := refusal(reference, fpr):
        raise ScoreError(reason)
    order = descending(reference)
    tail = tail_mass(reference, reference.weights[order], conformal)
    return float(reference.scores[order[int(cut(tail, fpr))]])
