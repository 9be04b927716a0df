"""Which of several targets is on top, and how high the right one stands, with ties in the place that chance gives them.

An image has a score for every target, higher = more likely its own. Targets that score exactly alike, as generators
with one tokenizer do, could come in any order: every number here is the mean over all orders of the tied ones.
"""

from __future__ import annotations

import numpy as np

from iarbench.stats.retrieval import chance_average_precision
from iarbench.stats.thresholds import FloatArray, ScoreError


def top_shares(scores: FloatArray) -> FloatArray:
    """(n, K) from scores (n, K): 1/k for each of the k targets that share the highest score of an image, else 0."""
    _check(scores)
    top = scores == scores.max(axis=1, keepdims=True)
    return top / top.sum(axis=1, keepdims=True)


def reciprocal_ranks(scores: FloatArray, column: int) -> FloatArray:
    """(n,) mean of 1/rank of the target in `column`, in (0, 1], from scores (n, K).

    With targets ranked for an image and one of them right, 1/rank is the average precision of that query; its mean over
    images is mAP.
    """
    _check(scores)
    own = scores[:, [column]]
    above, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, scores.shape[1] + 1))])
    return np.asarray((harmonic[above + equal] - harmonic[above]) / equal, dtype=np.float64)


def chance_map(targets: int) -> float:
    """mAP of a random order of so many targets: (1 + 1/2 + ... + 1/K) / K."""
    return chance_average_precision(1, targets)


def _check(scores: FloatArray) -> None:
    if scores.ndim != 2 or not scores.shape[1]:
        raise ScoreError(f"scores must be (images, targets), got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ScoreError(f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not finite")
