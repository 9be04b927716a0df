"""The scores of one detector as a table of images by targets, and what is standardised of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from iarbench.errors import UserError
from iarbench.results.attribution.task import AttributionTask
from iarbench.results.image_index import ImageIndex
from iarbench.results.rows import OTHERS
from iarbench.stats.open_set import Maxima
from iarbench.stats.standardise import TAIL, Units, folds_of, units_of
from iarbench.stats.thresholds import FloatArray, IntArray, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One named score of one detector under one attack. `known`: target -> image id -> score."""

    name: str
    known: Mapping[str, Mapping[str, float]]
    task: AttributionTask
    index: ImageIndex

    @classmethod
    def of(cls, name: str, frame: pd.DataFrame, task: AttributionTask, index: ImageIndex) -> Cell:
        """From rows (target, image_id, score). Raises UserError when an image has two scores of one target."""
        if (twice := frame.duplicated(["target", "image_id"])).any():
            row = frame[twice].iloc[0]
            raise UserError(f"{name}: image {row['image_id']} has two scores of {row['target']}; use a fresh --out")
        by_target = {
            str(target): dict(zip(part["image_id"].to_list(), part["score"].to_list(), strict=True))
            for target, part in frame.groupby("target")
        }
        return cls(name, by_target, task, index)

    def scores(self, target: str, source: str, split: str) -> FloatArray:
        """Scores (n,) of every image of a source in a split, in order of their ids.

        Raises:
            UserError: an image has none.
        """
        ids = self.index.ids(self.index.part((source,), split, ()))
        scores = self.known.get(target, {})
        found = [scores[name] for name in ids if name in scores]
        if lacking := len(ids) - len(found):
            raise UserError(
                f"{self.name}: {lacking} of {len(ids)} {split} images of {source} have no score of {target} yet; "
                "repeat the run command to finish it"
            )
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Standard:
    """Scores in the units of the calibration images of `calibration`, a cell of the same detector; the family
    `left_out` is unknown: it is no target and calibrates nothing.
    """

    cell: Cell
    calibration: Cell
    left_out: str | None = None
    tail: float = TAIL

    @property
    def targets(self) -> tuple[str, ...]:
        return self.cell.task.known(self.left_out)

    @cached_property
    def units(self) -> dict[str, Units]:
        """Target -> its unit, from its calibration non-members: each pooled set of real images, and the images of all
        other known families as one set, count the same. Raises ScoreError where a target has no spread."""
        return {target: self._units(target) for target in self.targets}

    def _units(self, target: str) -> Units:
        folds = [self._folds(source) for sources in self._nonmember_sources(target).values() for source in sources]
        return units_of(Scores.pool(list(self.nonmembers(target).values())), np.concatenate(folds), self.tail)

    def nonmembers(self, target: str) -> dict[str, Scores]:
        """Set -> calibration scores of a target's non-members."""
        sets = self._nonmember_sources(target)
        return {name: Scores.of(np.concatenate([self._raw(target, one) for one in of])) for name, of in sets.items()}

    def _nonmember_sources(self, target: str) -> dict[str, list[str]]:
        """Set -> the sources of a target's calibration non-members."""
        sets = {source: [source] for source in self.cell.task.pooled if self._has(source)}
        others = [source for source in self._apart_from(self.cell.task.family(target)) if self._has(source)]
        return sets | ({OTHERS: others} if others else {})

    @cached_property
    def maxima(self) -> dict[str, Maxima]:
        """Set -> source -> the highest standardised score (n,) of its calibration images, over the targets that did
        not make them: all for real images, those of other families for a generator's."""
        task = self.cell.task
        found: dict[str, Maxima] = {
            source: {source: self._highest(source, self.targets)} for source in task.pooled if self._has(source)
        }
        others = {}
        for source in self.targets:
            apart = self._apart_from(task.family(source))
            if apart and self._has(source):
                others[source] = self._highest(source, apart)
        return found | ({OTHERS: others} if others else {})

    def standardised(self, source: str) -> FloatArray:
        """(n, targets) of the test images of a source, in order of their ids."""
        split = self.cell.task.test_split
        return np.stack([self.units[t].whole.of(self.cell.scores(t, source, split)) for t in self.targets], axis=1)

    def _apart_from(self, family: str) -> list[str]:
        """The known targets of other families."""
        return [name for name in self.targets if self.cell.task.family(name) != family]

    def _raw(self, target: str, source: str) -> FloatArray:
        return self.calibration.scores(target, source, self.cell.task.calibration_split)

    def _has(self, source: str) -> bool:
        return len(self.cell.index.part((source,), self.cell.task.calibration_split, ())) > 0

    def _highest(self, source: str, targets: Sequence[str]) -> FloatArray:
        folds = self._folds(source)
        return np.max([self.units[one].of_calibration(self._raw(one, source), folds) for one in targets], axis=0)

    def _folds(self, source: str) -> IntArray:
        index = self.cell.index
        return folds_of(index.units(index.part((source,), self.cell.task.calibration_split, ())))
