"""The stored scores of a run, cell by cell: one score of one detector for all targets, under each attack."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from iarbench.progress import counted
from iarbench.results.attribution.cell import Cell
from iarbench.results.attribution.task import AttributionTask
from iarbench.results.image_index import ImageIndex
from iarbench.results.rows import clean_first
from iarbench.results.scores import current

ONE_SCORE = ("detector", "detector_version", "parameters", "score_name", "encoder", "precision")
"""What names one score, whatever the target; numbers never mix two of them."""


@dataclass(frozen=True, slots=True, eq=False)
class ManyTargets:
    """One score of one detector, for every target. `frames`: attack -> its scores."""

    identity: Mapping[str, Any]
    frames: Mapping[str, pd.DataFrame]
    task: AttributionTask
    index: ImageIndex

    @property
    def name(self) -> str:
        """What messages call it."""
        return "/".join(str(self.identity[key]) for key in ("detector", "score_name", "encoder"))

    @property
    def main(self) -> bool:
        """Whether it stands for its detector."""
        return all(bool((frame["main_score"] == frame["score_name"]).all()) for frame in self.frames.values())

    @property
    def fitted(self) -> bool:
        """Whether the detector learns from images of the benchmark."""
        return any(bool(frame["fitted"].any()) for frame in self.frames.values())

    @property
    def lacking(self) -> list[str]:
        """Targets that have no such score."""
        there = {target for frame in self.frames.values() for target in frame["target"].unique()}
        return [target for target in self.task.targets if target not in there]

    @property
    def weights(self) -> tuple[str, ...]:
        """Hash of the weights of each target."""
        known = {
            row.target: row.target_weights
            for row in next(iter(self.frames.values())).drop_duplicates("target").itertuples()
        }
        return tuple(str(known.get(target, "")) for target in self.task.targets)

    def cell(self, attack: str) -> Cell:
        """Its scores under an attack."""
        return Cell.of(f"{self.name}/{attack}", self.frames[attack], self.task, self.index)

    def seconds(self, attack: str) -> float:
        """Per image, for all targets together."""
        means = [math.fsum(part["seconds"]) / len(part) for _, part in self.frames[attack].groupby("target")]
        return math.fsum(means)


def cells_of(scores: pd.DataFrame, images: pd.DataFrame, task: AttributionTask) -> Iterator[ManyTargets]:
    """Every score of a run, in an order that depends on neither files nor batches.

    `scores`, `images`: as `load_scores` and `load_index` return them.

    Raises:
        UserError: no score belongs to the images, or one unit is in both the calibration and the test split.
    """
    index = ImageIndex(images)
    index.check_apart(task.calibration_split, {task.test_split})
    groups = current(scores, images, task.name, task.targets).groupby(list(ONE_SCORE))
    for keys, frame in counted(groups, "computing results", groups.ngroups, "scores"):
        attacks = clean_first(map(str, frame["attack"].unique()))
        frames = {attack: frame[frame["attack"] == attack] for attack in attacks}
        yield ManyTargets(dict(zip(ONE_SCORE, keys, strict=True)), frames, task, index)
