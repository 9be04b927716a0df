"""Rank-1 and mean average precision of retrieval from a gallery, with what guessing gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iarbench.errors import UserError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What became of every query."""

    hit: NDArray[np.bool_]
    """(Q,) whether the nearest gallery image is of the query's class."""
    average_precision: FloatArray
    """(Q,) in [0, 1]: mean precision at the ranks of the gallery images of its class."""

    @property
    def rank1(self) -> float:
        """Fraction of queries whose nearest gallery image is of their class."""
        return float(self.hit.mean())

    @property
    def mean_average_precision(self) -> float:
        """Mean over the queries, in [0, 1]."""
        return float(self.average_precision.mean())


def cosine(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Cosine similarity of features (Q, D) and (N, D): float64 (Q, N); a zero vector is at right angles to all."""
    return unit(a) @ unit(b).T


def unit(features: ArrayLike) -> FloatArray:
    """Features (N, D) of length 1, float64; zero vectors stay."""
    x = np.asarray(features, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length == 0, 1, length)


def retrieve(similarity: ArrayLike, query_labels: Sequence[str], gallery_labels: Sequence[str]) -> Retrieved:
    """Rank a gallery for every query.

    Among equally similar gallery images those of other classes come first, so that ties gain nothing.

    Args:
        similarity: (Q, N), higher = more alike.
        query_labels: (Q,) class of each query.
        gallery_labels: (N,) class of each gallery image.

    Raises:
        UserError: no queries, or a class that the gallery does not hold.
    """
    values, wanted, held = (
        np.asarray(similarity, dtype=np.float64),
        np.asarray(query_labels),
        np.asarray(gallery_labels),
    )
    if not len(wanted):
        raise UserError("there are no queries")
    if lacking := sorted({*query_labels} - {*gallery_labels}):
        raise UserError(f"the gallery holds no image of {lacking[0]}, which queries are of")
    relevant = wanted[:, None] == held[None, :]
    order = np.lexsort((relevant, -values), axis=1)
    ranked = np.take_along_axis(relevant, order, axis=1)
    precision = ranked.cumsum(1) / np.arange(1, len(held) + 1)
    return Retrieved(ranked[:, 0], (precision * ranked).sum(1) / ranked.sum(1))


def chance_rank1(classes: int) -> float:
    """Rank-1 that a random order gives where every class has equally many gallery images."""
    return 1 / classes


def chance_average_precision(relevant: int, total: int) -> float:
    """Mean average precision of a random order of ``total`` gallery images, ``relevant`` of them of the query's class.

    At rank i stands a relevant image with probability r/n, and (i - 1)(r - 1)/(n - 1) more are expected before it.
    """
    ranks = np.arange(1, total + 1)
    before = (ranks - 1) * (relevant - 1) / max(1, total - 1)
    return float(((1 + before) / ranks).mean())


@dataclass(frozen=True, slots=True)
class Spread:
    """A number over repeated draws."""

    mean: float
    low: float
    high: float
    """95 % interval of the mean by Student's t; low = high = mean for a single draw."""
    draws: int


def spread(values: Sequence[float]) -> Spread:
    """Fractions over draws with the interval of their mean, cut at 0 and 1; it is about the draw of galleries alone."""
    from scipy.stats import t

    x = np.asarray(values, dtype=np.float64)
    mean = float(x.mean())
    half = float(t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else 0.0
    return Spread(mean, max(0.0, mean - half), min(1.0, mean + half), len(x))
