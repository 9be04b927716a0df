"""Scores of different targets brought to one unit, so that the highest of them means something.

Every target has a scale of its own: the distance from a codebook of 16 numbers is not that from one of 256. Its
calibration non-members give the unit. What counts is how surprising a high score is, so their upper tail is what is
made equal: above the quantile q it is taken as exponential (peaks over a threshold), of the scale that the mean excess
gives, and a standardised score z says that about exp(-z) of the non-members score higher. That is a minimum of p-values
(Westfall and Young) which goes on where p-values end: images above all calibration images still differ.

A calibration image that had a say in the unit looks a little less surprising in it than a new image does: with 99
images and four targets a threshold for 5 % let 6.4 % pass and one for 1 % 2.7 % (simulated, independent targets; with
300 images 5.4 and 1.4 %). So calibration images are standardised in folds, each in the unit of the other nine, new
images in the unit of all: 4.2 and 0.8 % pass then, and with 300 images 4.9 and 0.8 %.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from iarbench.stats.thresholds import FloatArray, IntArray, ScoreError, Scores

TAIL = 0.95
"""Where the tail begins. A choice, made on the calibration images of the minis by how evenly the targets share the
images that are named wrongly (four detectors, clean and JPEG 50): at a threshold for 1 % the target that takes most
takes 0.24 % of its non-members; 0.42 % where median and 0.9 quantile are made equal, since tails differ beyond them."""

FOLDS = 10


@dataclass(frozen=True, slots=True)
class Unit:
    """What a target's scores are measured in: `(score - location) / scale`."""

    location: float
    scale: float

    def of(self, scores: FloatArray) -> FloatArray:
        """Standardised scores, of any shape; higher = more likely the target's."""
        return np.asarray((scores - self.location) / self.scale, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Units:
    """The unit of a target from all its non-members, and from those outside each fold."""

    whole: Unit
    without: tuple[Unit, ...]

    def of_calibration(self, scores: FloatArray, folds: IntArray) -> FloatArray:
        """Standardised scores (n,) of calibration images in these folds, each in the unit that it had no say in."""
        location, scale = (
            np.array([getattr(unit, name) for unit in self.without])[folds] for name in ("location", "scale")
        )
        return np.asarray((scores - location) / scale, dtype=np.float64)


def folds_of(groups: Sequence[object] | npt.NDArray[np.generic]) -> IntArray:
    """Fold (n,) in 0..FOLDS-1 of each image, by the hash of its group's name: no group is in two."""
    digests = (hashlib.sha256(str(group).encode()).digest() for group in groups)
    return np.array([int.from_bytes(digest[:8], "big") % FOLDS for digest in digests], dtype=np.intp)


def units_of(nonmembers: Scores, folds: IntArray, tail: float = TAIL) -> Units:
    """`unit_of` from all, and without each fold; `folds` (n,). Raises ScoreError as it does."""
    without = (unit_of(nonmembers, tail, folds != fold) for fold in range(FOLDS))
    return Units(unit_of(nonmembers, tail), tuple(without))


def unit_of(nonmembers: Scores, tail: float = TAIL, keep: npt.NDArray[np.bool_] | None = None) -> Unit:
    """The unit of a target, from its calibration non-members, whose sets weigh the same whatever their sizes.

    With u the `tail` quantile (the next lower score where so many share the highest one), e the mean excess of those
    above it, and w their weight: scale e, and the location such that u gets -ln w. A quantile is the smallest score at
    which the weight reaches it. `keep` (n,): which of them count; all without it.

    Raises:
        ScoreError: there are none, or all score the same, so that nothing says how they spread.
    """
    kept = np.ones(len(nonmembers), dtype=bool) if keep is None else keep
    scores, sets = nonmembers.scores[kept], nonmembers.sets[kept]
    if not len(scores):
        raise ScoreError("no calibration non-members to standardise with")
    sizes = np.bincount(sets)
    order = np.argsort(scores, kind="stable")
    weights = 1 / (sizes[sets] * np.count_nonzero(sizes))
    scores, weights = scores[order], weights[order]
    below_top = scores[scores < scores[-1]]
    if not len(below_top):
        raise ScoreError(f"all calibration non-members score {scores[0]:g}: no spread")
    start = min(scores[_place(np.cumsum(weights), tail)], below_top[-1])
    above = scores > start
    excess = float(np.average(scores[above] - start, weights=weights[above]))
    return Unit(float(start + excess * math.log(weights[above].sum())), excess)


def _place(reached: FloatArray, quantile: float) -> int:
    return min(int(np.searchsorted(reached, quantile - 1e-9, side="left")), len(reached) - 1)
