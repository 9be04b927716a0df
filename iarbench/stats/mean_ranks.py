"""Mean ranks of several detectors over cells (task, attack, target), and what the images leave open about them.

The interval is about the mean rank that endless images would show, of these cells: they are few and chosen, no sample
of anything, so nothing is said about other attacks or targets. (Friedman's test and the critical difference of Nemenyi
take cells for independent draws, Demsar 2006; attacks on the same images are none.) A rank counts detectors that are
better, so it jumps where two are nearly alike: there percentiles of resampled ranks do not hold the true one (Hall and
Miller 2009). So differences are asked first. One detector is compared with every other one in every cell, all
differences at once: a difference is *shown* when it is more standard errors from 0 than the largest of all resampled
ones is from its centre in 95% of the resamples, 1.96 at least. The lowest rank counts only the others that are shown to
be better, the highest all that are not shown to be worse (marginal confidence sets of Mogstad, Romano, Shaikh and
Wilhelm 2024). It holds the true mean rank with at least 95%, mostly more: an interval from 1 to all says that the
images tell nothing.
"""

from __future__ import annotations

import numpy as np

from iarbench.stats.intervals import CONFIDENCE
from iarbench.stats.thresholds import FloatArray
from iarbench.stats.tpr_interval import Z


def mean_ranks(values: FloatArray) -> FloatArray:
    """(..., K) mean over cells of the rank, 1 = highest value, of values (..., K, C); equal values share ranks."""
    one, other = values[..., :, None, :], values[..., None, :, :]
    ranks = (other > one).sum(axis=-2) + ((other == one).sum(axis=-2) + 1) / 2
    return np.asarray(ranks.mean(axis=-1), dtype=np.float64)


def rank_intervals(values: FloatArray, draws: FloatArray, least: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest mean rank (K,), each in [1, K], that the images do not rule out, 95% for each detector.

    Args:
        values: (K, C) of K detectors in C cells, higher = better.
        draws: (b, K, C) the same in b resamples that draw the same images for all detectors and attacks.
        least: (C,) the smallest standard error that is believed: one over the independent images of a cell. Where a
            rate is 0 or 1 no resample changes it.
    """
    bounds = [_bounds(place, values, draws, least) for place in range(len(values))]
    low, high = np.array(bounds, dtype=np.float64).T
    return low, high


def _bounds(place: int, values: FloatArray, draws: FloatArray, least: FloatArray) -> tuple[float, float]:
    others = np.arange(len(values)) != place
    cells = values.shape[1]
    if not others.any():
        return 1.0, 1.0
    found = values[place] - values[others]
    spread = draws[:, [place]] - draws[:, others]
    error = np.maximum(spread.std(axis=0), least)
    largest = np.abs((spread - found) / error).max(axis=(1, 2))
    shown = np.abs(found) / error > max(np.quantile(largest, CONFIDENCE), Z)
    better, worse = int((shown & (found < 0)).sum()), int((shown & (found > 0)).sum())
    return 1 + better / cells, len(values) - worse / cells
