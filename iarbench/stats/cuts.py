"""What flagging the highest scores of a sample comes to, for every place where one could cut."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from iarbench.stats.intervals import RARE, clopper_pearson, independent_groups
from iarbench.stats.thresholds import FloatArray, IntArray, Scores, descending

NO_VARIANCE = 1e-13
"""Of a share: what running sums leave of a variance that is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """`scores` (n,) from the highest down; `share` (n + 1,) in [0, 1]: how much of the sample, sets counting equally,
    is flagged when the j highest are; `size` (n + 1,): how many independent images that share rests on.
    """

    scores: FloatArray
    share: FloatArray
    size: FloatArray

    def above(self, thresholds: FloatArray | float) -> IntArray:
        """How many scores lie strictly above each of the thresholds: the cut that each makes."""
        return np.searchsorted(-self.scores, np.negative(thresholds), side="left")

    def proportion(self, threshold: float) -> tuple[float, float, float]:
        """The share above a threshold with its Clopper-Pearson interval: `intervals.proportion` of these flags."""
        at = int(self.above(threshold))
        share, size = float(self.share[at]), float(self.size[at])
        return share, *clopper_pearson(share * size, size)


_known: WeakKeyDictionary[Scores, Cuts] = WeakKeyDictionary()
"""One calibration set serves several thresholds. Its cuts go when it goes: they are as large as its scores."""


def cuts_of(sample: Scores) -> Cuts:
    """The cuts of a sample that is not empty, with the sizes of `intervals.proportion`; O(n log n) for all of them."""
    known = _known.get(sample)
    if known is None:
        known = _known[sample] = _cuts(sample)
    return known


def _cuts(sample: Scores) -> Cuts:
    order = descending(sample)
    groups, sets = sample.groups[order], sample.sets[order]
    own = [_of_set(groups, sets == code) for code in range(sample.n_sets)]
    share = np.mean([one for one, _ in own], axis=0)
    variance = np.sum([one for _, one in own], axis=0) / len(own) ** 2
    weights = sample.weights
    most, least = 1.0 / float(weights @ weights), independent_groups(sample)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.minimum(share * (1 - share) / variance + 1, most)
    size = np.where(variance > NO_VARIANCE, size, least)
    few = _rarer_groups(groups) < RARE
    size[few] = np.minimum(size[few], least)
    return Cuts(sample.scores[order], share, size)


def _of_set(groups: IntArray, inside: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Flagged share (n + 1,) of one set and the share's variance, whole groups being independent.

    With c_g of the n_g images of group g flagged and a share p in all, the variance is
    G/(G-1) sum (c_g - p n_g)^2 / n^2; the sums of c_g^2 and c_g n_g grow by what one more flagged image adds.
    """
    before, sizes, n_groups = _seen_before(groups[inside])
    count = len(sizes)
    added = np.zeros((3, len(groups)))
    added[:, inside] = np.ones(count), 2 * before + 1, sizes
    flagged, squares, products = (_running(row) for row in added)
    share, of_all = flagged / count, float(sizes.sum())  # each image adds its group's size: the sum of n_g^2
    if n_groups < 2:
        return share, np.zeros(len(groups) + 1)
    spread = np.maximum(squares - 2 * share * products + share**2 * of_all, 0.0)
    return share, n_groups / (n_groups - 1) * spread / count**2


def _running(values: FloatArray) -> FloatArray:
    """Sums (n + 1,) of the first 0..n values."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _seen_before(groups: IntArray) -> tuple[IntArray, IntArray, int]:
    """For each image (n,) how many of its group come before it, and how many its group has; and how many groups."""
    sizes = np.bincount(groups)
    order = np.argsort(groups, kind="stable")
    before = np.empty(len(groups), dtype=np.intp)
    before[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return before, sizes[groups], int(np.count_nonzero(sizes))


def _rarer_groups(groups: IntArray) -> FloatArray:
    """(n + 1,) how many groups have a flagged image, or one that is not: the smaller number."""
    before, sizes, n_groups = _seen_before(groups)
    touched, whole = _running(1.0 * (before == 0)), _running(1.0 * (before + 1 == sizes))
    return np.minimum(touched, n_groups - whole)
