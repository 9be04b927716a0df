"""95% intervals: exact for proportions, by resampling whole groups for anything else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from iarbench.stats.thresholds import FloatArray, Scores

CONFIDENCE = 0.95
DRAWS = 1000
RARE = 6
"""Where fewer groups than this are on the rarer side, how alike images of one group are cannot be seen in them: a group
then counts as one image, and an AUROC's interval takes the largest variance there can be."""

BLOCK_CELLS = 1_000_000  # draws are made in blocks of about 8 MB, so memory does not grow with the number of draws


def clopper_pearson(count: float, total: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact interval of a proportion count/total, both in [0, 1]; real-valued counts are allowed (effective sizes)."""
    tail = (1 - confidence) / 2
    low = float(betaincinv(count, total - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
    return low, high


def variance_of_mean(values: FloatArray, sample: Scores) -> float:
    """Variance of `sample.mean(values)` when groups, not images, are independent; sets add up.

    With one image a group this is the usual s^2 / n. A set with a single group says nothing and counts as 0.
    """
    total = 0.0
    for code in range(sample.n_sets):
        inside = sample.sets == code
        deviations = values[inside] - values[inside].mean()
        groups = np.unique(sample.groups[inside], return_inverse=True)[1]
        sums = np.bincount(groups, weights=deviations)
        if len(sums) > 1:
            total += len(sums) / (len(sums) - 1) * float(sums @ sums) / len(deviations) ** 2
    return total / sample.n_sets**2


def independent_groups(sample: Scores) -> float:
    """How many equal, independent units `sample` is worth if images of a group are copies (Kish, over groups)."""
    shares = np.bincount(sample.groups, weights=sample.weights)
    return 1.0 / float(shares @ shares)


def proportion(flags: npt.NDArray[np.bool_], sample: Scores) -> tuple[float, float, float]:
    """Share of `flags` (n,) in [0, 1] with its Clopper-Pearson interval: (value, low, high).

    Grouped or weighted images count as fewer: the interval uses the effective size p(1-p)/variance + 1 (Korn and
    Graubard 1998), at most the Kish size of the weights; at 0 and 1, where there is no variance, and where less than
    `RARE` groups are on the rarer side, a group counts as one. Ungrouped and of one set, this is the plain
    Clopper-Pearson interval.
    """
    value = sample.mean(flags)
    variance = variance_of_mean(flags.astype(np.float64), sample)
    if variance > 0:
        weights = sample.weights
        size = min(value * (1 - value) / variance + 1, 1.0 / float(weights @ weights))
    else:
        size = independent_groups(sample)
    if min(len(np.unique(sample.groups[side])) for side in (flags, ~flags)) < RARE:
        size = min(size, independent_groups(sample))
    return value, *clopper_pearson(value * size, size)


def seed_of(*identity: object) -> int:
    """A seed that belongs to what is computed, not to when: 64 bits of SHA-256 over the parts of `identity`."""
    text = "\x1f".join(str(part) for part in identity)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def resampled_weights(sample: Scores, rng: np.random.Generator, draws: int) -> FloatArray:
    """Weights (draws, n) of bootstrap resamples: groups drawn with replacement within each set, rows sum to 1."""
    per_set = []
    for code in range(sample.n_sets):
        groups = np.unique(sample.groups[sample.sets == code], return_inverse=True)[1]
        size = int(groups.max()) + 1
        picks = rng.integers(size, size=(draws, size)) + np.arange(draws)[:, None] * size
        counts = np.bincount(picks.ravel(), minlength=draws * size).reshape(draws, size)[:, groups]
        per_set.append(counts / (counts.sum(axis=1, keepdims=True) * sample.n_sets))
    return per_set[0] if len(per_set) == 1 else np.concatenate(per_set, axis=1)


def bootstrap(
    samples: Mapping[str, Scores],
    statistic: Callable[[Mapping[str, FloatArray]], FloatArray],
    seed: int,
    draws: int = DRAWS,
) -> FloatArray:
    """`statistic` of `draws` resamples, (draws, k): it gets a weight matrix (b, n) a sample and returns (b, k).

    Every sample has its own random stream, named after it, so one more sample does not change the draws of another.
    """
    streams = {name: np.random.default_rng(seed_of(seed, name)) for name in samples}
    blocks = _blocks(draws, sum(len(sample) for sample in samples.values()))
    return np.concatenate(
        [
            statistic({name: resampled_weights(sample, streams[name], size) for name, sample in samples.items()})
            for size in blocks
        ]
    )


def _blocks(draws: int, images: int) -> Iterator[int]:
    size = max(1, BLOCK_CELLS // max(1, images))
    for start in range(0, draws, size):
        yield min(size, draws - start)


def percentiles(draws: FloatArray) -> tuple[float, float]:
    """The central 95% of bootstrap `draws` (b,)."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)
