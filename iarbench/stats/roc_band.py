"""A ROC curve with its band: at every false-positive rate the interval that the TPR has there (`tpr_interval`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iarbench.stats.cuts import cuts_of
from iarbench.stats.thresholds import FloatArray, Scores
from iarbench.stats.tpr_interval import tpr_interval

POINTS = 60


@dataclass(frozen=True, slots=True, eq=False)
class RocBand:
    """`fpr`, `tpr` (k,): the curve, a step at every distinct non-member score; `at` (n,): rates at which `low` and
    `high` (n,) hold the TPR with 95% confidence, each by itself. `low` is NaN where the images are too few for it."""

    fpr: FloatArray
    tpr: FloatArray
    at: FloatArray
    low: FloatArray
    high: FloatArray


def roc_band(members: Scores, nonmembers: Scores) -> RocBand:
    """The ROC curve of two samples, sets counting equally; rates of the band lie evenly on a logarithmic axis."""
    own, other = cuts_of(members), cuts_of(nonmembers)
    thresholds = np.concatenate([np.unique(other.scores)[::-1], [-np.inf]])
    least = float(1.0 / other.size.max())
    at = np.geomspace(least, 0.99, POINTS)
    ends = np.array([tpr_interval(own, other, float(rate)) for rate in at], dtype=np.float64)
    return RocBand(other.share[other.above(thresholds)], own.share[own.above(thresholds)], at, ends[:, 0], ends[:, 1])
