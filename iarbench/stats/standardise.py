"""Scores of different targets brought to one unit, so that the highest of them means something.

Every target has a scale of its own: the distance from a codebook of 16 numbers is not that from one of 256. Its
calibration non-members give the unit: median 0, and upper spread 1. Only the upper half says how high an image must
score to surprise; a score such as minus an error has a long lower tail that must not widen it.

A calibration image that had a say in the unit looks a little less surprising in it than a new image does: with 99
images and four targets a threshold for 5 % let 5.8 % pass (simulated, independent targets). So calibration images are
standardised in folds, each in the unit of the other nine, new images in the unit of all; 4.2 to 4.6 % pass then, and
4.8 % with 300 images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from iarbench.stats.thresholds import FloatArray, IntArray, ScoreError, Scores

UPPER = 0.9
"""The quantile whose distance from the median is the upper spread. A choice: high enough to be about the upper half,
low enough that outliers do not move it (a tenth of the non-members lie above)."""

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


def units_of(nonmembers: Scores, folds: IntArray, upper: float = UPPER) -> Units:
    """`unit_of` from all, and without each fold; `folds` (n,). Raises ScoreError as it does."""
    without = (unit_of(nonmembers, upper, folds != fold) for fold in range(FOLDS))
    return Units(unit_of(nonmembers, upper), tuple(without))


def unit_of(nonmembers: Scores, upper: float = UPPER, keep: npt.NDArray[np.bool_] | None = None) -> Unit:
    """The unit of a target, from its calibration non-members, whose sets weigh the same whatever their sizes.

    Location: the median. Scale: (`upper` quantile - median) over the same of a normal distribution, so that normal
    scores get their standard deviation. A quantile is the smallest score at which the weight reaches it. `keep` (n,):
    which of them count; all without it.

    Raises:
        ScoreError: there are none, or more than 40 % of them score the same, so that nothing says how they spread.
    """
    kept = np.ones(len(nonmembers), dtype=bool) if keep is None else keep
    scores, sets = nonmembers.scores[kept], nonmembers.sets[kept]
    if not len(scores):
        raise ScoreError("no calibration non-members to standardise with")
    sizes = np.bincount(sets)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / (sizes[sets[order]] * np.count_nonzero(sizes)))
    low, high = (float(scores[order][_place(reached, q)]) for q in (0.5, upper))
    scale = (high - low) / float(ndtri(upper))
    if not scale > 0:
        raise ScoreError(f"calibration non-members score {low:g} from the median to the {upper:g} quantile: no spread")
    return Unit(low, scale)


def _place(reached: FloatArray, quantile: float) -> int:
    return min(int(np.searchsorted(reached, quantile - 1e-9, side="left")), len(reached) - 1)
