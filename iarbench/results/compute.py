"""From per-image scores to rows: every metric of every detector against every non-member set, with its intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from iarbench import __version__
from iarbench.progress import counted
from iarbench.results.frames import FrameScores
from iarbench.results.image_index import ImageIndex, Role, Sources
from iarbench.results.known import CellScores, whose
from iarbench.results.quality import Left
from iarbench.results.result_task import ResultTask
from iarbench.results.rows import (
    AUROC,
    CLEAN,
    COMPETITOR,
    METRIC_VERSION,
    MIRRORED,
    POOLED,
    THRESHOLDS,
    TOLERANCE,
    TPR,
    Key,
    Row,
    clean_first,
    mirrored,
)
from iarbench.results.scores import current, index_pieces
from iarbench.results.stored import stored_scores
from iarbench.stats.metrics import OperatingPoint, Reference, Rule, auroc, tpr_at_fpr
from iarbench.stats.thresholds import ScoreError, Scores

Values = dict[str, Any]
"""Fields of a row, before they are one."""

CELL = (
    "target", "detector", "detector_version", "parameters", "score_name", "encoder", "target_weights", "precision"
)  # fmt: skip
"""What names one named score for one target; rows never mix two of them."""

KEPT = 2**24
"""Scores whose order and groups are kept for the next row, of all samples together."""


def compute_rows(scores: pd.DataFrame, images: pd.DataFrame, task: ResultTask) -> list[Row]:
    """Every row that the scores allow, in an order and with numbers that depend on neither files nor batches.

    `scores`, `images`: as `load_scores` and `load_index` return them. What cannot be had is a row with value null and
    its `reason`. Raises UserError when an image that a row needs has no score (the run is not finished) or has two, or
    when one unit is in both the calibration and the test part.
    """
    return [row for cell in cells_of(scores, images, task) for row in cell.rows()]


def cells_of(scores: pd.DataFrame, images: pd.DataFrame, task: ResultTask) -> Iterator[Cell]:
    """Every named score of every detector for every target. Arguments and errors: as for `compute_rows`."""
    index = _checked(ImageIndex(images), task)
    ours = current(scores, images, task.name, task.targets)
    groups = ours.groupby(list(CELL), observed=True)
    for keys, frame in counted(groups, "computing results", groups.ngroups, "scores"):
        identity = dict(zip(CELL, keys, strict=True))
        yield Cell(identity, FrameScores(identity, frame, index), task, index)


def stored_cells(root: Path, parts: Iterable[str], task: ResultTask) -> list[Cell]:
    """The same from the files of a run (relative to `root`), which are read when they are needed."""
    index = _checked(ImageIndex(index_pieces(root)), task)
    found = [
        Cell(identity, scores, task, index) for identity, scores in stored_scores(root, parts, task.targets, index)
    ]
    return sorted(found, key=lambda cell: tuple(cell.identity[name] for name in CELL))


def _checked(index: ImageIndex, task: ResultTask) -> ImageIndex:
    index.check_apart(task.calibration_split, {task.member_split, task.nonmember_split})
    return index


class Cell:
    """One named score of one detector for one target, under every attack."""

    def __init__(self, identity: Values, scores: CellScores, task: ResultTask, index: ImageIndex) -> None:
        self.identity, self.task, self.index, self.stored = identity, task, index, scores
        self.target = str(identity["target"])
        self.main = scores.main
        self.tells_siblings = scores.tells_siblings
        self.pools = task.pools(self.target, tells_siblings=self.tells_siblings)
        self.name = whose(identity)
        # of many images only what one attack after the other needs, with the clean ones, stays in memory
        several = min(512, KEPT // max(1, len(index)))
        self._is_large = several < 4
        self.known = lru_cache(max(4 if task.mirrored else 2, several // 8))(scores.known)
        self.gather = lru_cache(max(4, several))(self._gather)
        self.left = cache(self._left)

    @property
    def key(self) -> Key:
        """Whose score it is, whatever the target."""
        return tuple(self.identity[name] for name in COMPETITOR)  # type: ignore[return-value]

    def _gather(self, attack: str, role: Role) -> Scores:
        if attack not in self.stored.attacks:
            raise ScoreError(f"no scores under attack {attack!r}")
        return self.index.scores(role, self.known(attack), f"{self.name}/{attack}")

    def _left(self, attack: str, acted_on: Role) -> Left:
        parts = [self.index.part(sources, acted_on.split, acted_on.most) for sources in acted_on.parts]
        return self.stored.left(attack, np.unique(np.concatenate(parts)))

    @property
    def attacks(self) -> list[str]:
        """Attacks that rows are about, none first: under others the target's images are mirrored, and are a set."""
        return clean_first(name for name in self.stored.attacks if not self.task.mirrored or name in self.task.attacks)

    def samples(self, attack: str, set_name: str) -> tuple[Scores, Scores, Scores]:
        """Members, test non-members and calibration non-members of one set under one attack.

        Raises:
            ScoreError: there are none, or one is not finite.
        """
        parts = self.task.nonmember_sets(self.target, tells_siblings=self.tells_siblings).get(set_name)
        if parts is None:
            raise ScoreError(f"{self.target} has no non-member set {set_name!r}")
        members, nonmembers, calibration = self._roles(parts)
        on_members, others = self._sides(attack, set_name)
        return self.gather(on_members, members), self.gather(others, nonmembers), self.gather(others, calibration)

    def roles(self, set_name: str) -> tuple[Role, Role, Role]:
        """Which images `samples` are scores of."""
        return self._roles(self.task.nonmember_sets(self.target, tells_siblings=self.tells_siblings)[set_name])

    def _roles(self, parts: tuple[Sources, ...]) -> tuple[Role, Role, Role]:
        """Members, and test and calibration non-members of a set that consists of these parts."""
        task = self.task
        most = task.most.get(self.target, ())
        members = Role(((self.target,),), task.member_split, most)
        return members, Role(parts, task.nonmember_split, most), Role(parts, task.calibration_split, most)

    def forget(self) -> None:
        """Let go of what was read for it; asked again, it reads again."""
        self.known.cache_clear()
        self.gather.cache_clear()

    def rows(self) -> Iterator[Row]:
        sets = self.task.nonmember_sets(self.target, tells_siblings=self.tells_siblings)
        for attack in self.attacks:
            for set_name, parts in sets.items():
                yield from self._set_rows(attack, set_name, parts)
            if self._is_large:
                self.gather.cache_clear()

    def _set_rows(self, attack: str, set_name: str, parts: tuple[Sources, ...]) -> Iterator[Row]:
        task = self.task
        members, nonmembers, calibration = self._roles(parts)
        base = self._base(attack) | {
            "nonmember_set": set_name,
            "pools": self.pools if set_name == POOLED else (set_name,),
            "n_members": self.index.count(members),
            "n_nonmembers": self.index.count(nonmembers),
            "n_groups": self.index.count_groups(nonmembers),
            "images_fingerprint": self.index.fingerprint(members, nonmembers, calibration),
        }
        base |= self.left(attack, nonmembers if task.attacked == "nonmembers" else members)
        if TPR in task.metrics:
            thresholded = base | {"metric": TPR, "n_calibration": self.index.count(calibration)}
            of_groups = {"n_calibration": self.index.count_groups(calibration)}
            for kind, points in self._points(attack, set_name, members, nonmembers, calibration).items():
                if kind == "guaranteed":
                    thresholded |= of_groups
                yield from (self._point_row(thresholded, kind, point) for point in points)
        if AUROC in task.metrics:
            yield self._auroc_row(base | {"metric": AUROC, "n_calibration": 0}, attack, set_name, members, nonmembers)

    def _base(self, attack: str) -> Values:
        known = self.known(attack)
        return self.identity | {
            "metric_version": METRIC_VERSION,
            "task": self.task.name,
            "task_version": self.task.version,
            "attack": attack,
            "attack_version": known.attack_version,
            "attacked": self.task.attacked,
            "seconds_per_image": known.seconds,
            "iarbench_version": __version__,
        }

    def _sides(self, attack: str, set_name: str) -> tuple[str, str]:
        """The attack that members and non-members went through."""
        attacked = self.task.attacked
        members, nonmembers = (CLEAN if attacked == side else attack for side in ("nonmembers", "members"))
        return members, mirrored(nonmembers) if set_name == MIRRORED else nonmembers

    def _points(
        self, attack: str, set_name: str, members: Role, nonmembers: Role, calibration: Role
    ) -> dict[str, list[OperatingPoint]]:
        """Operating points of every kind of threshold; where scores are missing, why there is none."""
        on_members, on_nonmembers = self._sides(attack, set_name)
        wanted: dict[str, tuple[str, Role, Rule]] = {
            "matched": (on_nonmembers, calibration, "conformal"),
            "oracle": (on_nonmembers, nonmembers, "empirical"),
            "guaranteed": (on_nonmembers, calibration, "guaranteed"),
        }
        clean = self._sides(CLEAN, set_name)[1]
        if on_nonmembers != clean:
            wanted["transfer"] = (clean, calibration, "conformal")
        references: dict[str, Reference] = {}
        refused: dict[str, list[OperatingPoint]] = {}
        for kind, (under, role, rule) in wanted.items():
            try:
                references[kind] = Reference(self.gather(under, role), rule)
            except ScoreError as error:
                refused[kind] = self._refuse(error)
        try:
            sides = self.gather(on_members, members), self.gather(on_nonmembers, nonmembers)
            found = refused | tpr_at_fpr(*sides, references, self.task.fprs)
        except ScoreError as error:
            found = {kind: self._refuse(error) for kind in wanted}
        return {kind: found.get(kind, found["matched"]) for kind in THRESHOLDS}

    def _refuse(self, error: ScoreError) -> list[OperatingPoint]:
        return [OperatingPoint(fpr, None, None, None, str(error)) for fpr in self.task.fprs]

    def _point_row(self, base: Values, kind: str, point: OperatingPoint) -> Row:
        values: Values = {"threshold_kind": kind, "fpr_nominal": point.fpr_nominal, "reason": point.reason}
        if kind == "oracle":
            values["n_calibration"] = 0
        if point.tpr and point.fpr:
            tpr, fpr = point.tpr, point.fpr
            values |= {"threshold": point.threshold, "value": tpr.value, "low": tpr.low, "high": tpr.high}
            values |= {"interval": tpr.about, "fpr_achieved": fpr.value, "fpr_low": fpr.low, "fpr_high": fpr.high}
        headline = kind == "matched" and point.fpr_nominal == self.task.fprs[0]
        return self._row(base | values, headline)

    def _auroc_row(self, base: Values, attack: str, set_name: str, members: Role, nonmembers: Role) -> Row:
        on_members, on_nonmembers = self._sides(attack, set_name)
        try:
            area = auroc(self.gather(on_members, members), self.gather(on_nonmembers, nonmembers))
        except ScoreError as error:
            return self._row(base | {"reason": str(error)})
        return self._row(base | {"value": area.value, "low": area.low, "high": area.high})

    def _row(self, values: Values, headline: bool = True) -> Row:
        primary = headline and self.main and values["metric"] == self.task.primary
        tolerance = TOLERANCE[values["metric"]]
        return Row(**values, tolerance=tolerance, primary=primary and values["nonmember_set"] == POOLED)
