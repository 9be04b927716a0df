"""Resamples of the images of a task: what several detectors, attacks or targets meet is drawn alike for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from iarbench.results.image_index import ImageIndex, Role
from iarbench.stats.intervals import DRAWS, seed_of
from iarbench.stats.thresholds import FloatArray, IntArray

Counts = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Redrawn:
    """The resamples of the n images of a role, in the order of `ImageIndex.scores`: `counts` (b, G) how often each
    group was drawn, `groups` and `sets` (n,) of the images, `totals` (b, S) how many images each set then has."""

    counts: Counts
    groups: IntArray
    sets: IntArray
    totals: FloatArray

    @cached_property
    def weights(self) -> FloatArray:
        """Those of all images (b, n)."""
        return self(np.arange(len(self.groups)))

    def __call__(self, places: IntArray) -> FloatArray:
        """Weights (b, k) of the images at `places`; over all images a row sums to 1, equally over sets."""
        return self.counts[:, self.groups[places]] / (self.totals[:, self.sets[places]] * self.totals.shape[1])


class Redraws:
    """`draws` resamples: of every source and split as many groups as it has are drawn with replacement. The numbers
    drawn follow from the names of source and split alone."""

    def __init__(self, draws: int = DRAWS) -> None:
        self.draws = draws
        self._kept, self._source = lru_cache(maxsize=8)(self._of), lru_cache(maxsize=64)(self._drawn)

    def of(self, index: ImageIndex, role: Role) -> Redrawn:
        """The resamples of the images of a role, none of whose sets is empty."""
        return self._kept(index, role)

    def _of(self, index: ImageIndex, role: Role) -> Redrawn:
        counts, groups, sets, totals, start = [], [], [], [], 0
        for code, sources in enumerate(role.parts):
            each = [index.units(index.part((source,), role.split, role.most)) for source in sources]
            names = [np.unique(units.astype(str)) for units in each]
            drawn = [self._source(source, role.split, len(some)) for source, some in zip(sources, names, strict=True)]
            known = np.concatenate(names)
            order = np.argsort(known)
            units = index.units(index.part(sources, role.split, role.most))
            of = order[np.searchsorted(known[order], units)]
            every = np.concatenate(drawn, axis=1)
            counts.append(every)
            groups.append(start + of)
            sets.append(np.full(len(units), code))
            totals.append(every @ np.bincount(of, minlength=len(known)).astype(np.float64))
            start += len(known)
        return Redrawn(
            np.concatenate(counts, axis=1), np.concatenate(groups), np.concatenate(sets), np.stack(totals, axis=1)
        )

    def _drawn(self, source: str, split: str, groups: int) -> Counts:
        """(b, G) how often each group of a source, sorted by name, was drawn."""
        rng = np.random.default_rng(seed_of("redraw", source, split))
        picks = rng.integers(groups, size=(self.draws, groups)) + np.arange(self.draws)[:, None] * groups
        counts = np.bincount(picks.ravel(), minlength=self.draws * groups)
        return counts.reshape(self.draws, groups).astype(np.uint16)
