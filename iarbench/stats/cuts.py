"""What flagging the highest scores of a sample comes to, for every place where one could cut."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from iarbench.stats.intervals import RARE, clopper_pearson, independent_groups
from iarbench.stats.thresholds import Codes, FloatArray, IntArray, Scores, descending

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
    share, variance = own[0]
    if len(own) > 1:
        share = np.mean([one for one, _ in own], axis=0)
        variance = np.sum([one for _, one in own], axis=0) / len(own) ** 2
    del own, sets
    weights = sample.weights
    most, least = 1.0 / float(weights @ weights), independent_groups(sample)
    del weights
    size = 1 - share
    size *= share
    with np.errstate(divide="ignore", invalid="ignore"):
        size /= variance
    size += 1
    np.minimum(size, most, out=size)
    size[~(variance > NO_VARIANCE)] = least
    del variance
    few = _rarer_groups(groups) < RARE
    size[few] = np.minimum(size[few], least)
    return Cuts(sample.scores[order], share, size)


def _of_set(groups: Codes, inside: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Flagged share (n + 1,) of one set and the share's variance, whole groups being independent.

    With c_g of the n_g images of group g flagged and a share p in all, the variance is
    G/(G-1) sum (c_g - p n_g)^2 / n^2; the sums of c_g^2 and c_g n_g grow by what one more flagged image adds.
    """
    before, sizes, n_groups = _seen_before(groups[inside])
    count = len(sizes)
    share = _running(_placed(inside, 1.0))
    share /= count
    if n_groups < 2:
        return share, np.zeros(len(groups) + 1)
    # in place: a sample may have millions of images
    variance, products = _running(_placed(inside, 2.0 * before + 1)), _running(_placed(inside, sizes))
    products *= 2 * share
    variance -= products
    variance += share**2 * float(sizes.sum())  # each image adds its group's size: the sum of n_g^2
    np.maximum(variance, 0.0, out=variance)
    variance *= n_groups / (n_groups - 1)
    variance /= count**2
    return share, variance


def _placed(inside: np.ndarray, values: npt.ArrayLike) -> FloatArray:
    """(n,) with these values at the places that are inside, else 0."""
    found = np.zeros(len(inside))
    found[inside] = values
    return found


def _running(values: np.ndarray, kind: type[np.generic] = np.float64) -> np.ndarray:
    """Sums (n + 1,), of this type, of the first 0..n values."""
    found = np.zeros(len(values) + 1, dtype=kind)
    np.cumsum(values, out=found[1:])
    return found


def _seen_before(groups: Codes) -> tuple[Codes, Codes, int]:
    """For each image (n,) how many of its group come before it, and how many its group has; and how many groups."""
    sizes = np.bincount(groups).astype(np.int32)
    order = np.argsort(groups, kind="stable").astype(np.int32)
    before = np.empty(len(groups), dtype=np.int32)
    before[order] = np.arange(len(groups), dtype=np.int32) - np.repeat(np.cumsum(sizes, dtype=np.int32) - sizes, sizes)
    return before, sizes[groups], int(np.count_nonzero(sizes))


def _rarer_groups(groups: Codes) -> Codes:
    """(n + 1,) how many groups have a flagged image, or one that is not: the smaller number."""
    before, sizes, n_groups = _seen_before(groups)
    touched, whole = _running(before == 0, np.int32), _running(before + 1 == sizes, np.int32)
    return np.minimum(touched, n_groups - whole)
