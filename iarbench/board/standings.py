"""Mean ranks and areas under strength curves for the page.

Intervals of mean ranks come from the scores behind the rows, which an installed package does not have: there the ranks
stand alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from iarbench.board.gather import Batch
from iarbench.board.provenance import Group
from iarbench.board.ranking import places
from iarbench.progress import Progress
from iarbench.results.areas import Area, areas
from iarbench.results.compute import Cell
from iarbench.results.detections import Detection, Detections, detection
from iarbench.results.ranks import Standing, rank_complete, ranking
from iarbench.results.redraws import Redraws
from iarbench.results.rows import AUROC, POOLED, Key, Row, key_of

NO_SCORES = "the scores are not at hand"
View = tuple[str, float | None]
"""Non-member set and nominal rate."""


@dataclass(frozen=True)
class Standings:
    """Of one group: mean ranks of its main scores under an attack and over all of them, and areas."""

    group: Group
    found: dict[View, Detections]

    def under(self, attack: str, nonmember_set: str, rate: float | None) -> dict[Key, Standing]:
        """Mean ranks over the targets, of those that have a rank there."""
        group = self.group
        keys = [one.entry.key for one in places(group, attack, nonmember_set, rate) if one.rank is not None]
        cells = [(group.task, attack, target) for target in group.targets]
        return rank_complete(self.found[nonmember_set, rate], keys, cells)

    def overall(self, nonmember_set: str, rate: float | None) -> dict[Key, Standing]:
        """Mean ranks over all attacks and targets, of all main scores, the best first."""
        return ranking(self.found[nonmember_set, rate]).standings

    def areas(self, key: Key, nonmember_set: str, rate: float | None) -> list[Area]:
        """Of one competitor."""
        rows = _rows(self.group, nonmember_set, rate)
        return areas({(row.attack, row.target): row for row in rows if key_of(row) == key})


def standings_of(groups: Sequence[Group], batches: Sequence[Batch], progress: TextIO | None = None) -> list[Standings]:
    """Those of every group. TPRs against the pooled set are resampled where a batch has the scores behind its rows and
    they give the very row; `progress`: where to say how far that is."""
    behind = _Behind(batches)
    found: list[dict[View, Detections]] = []
    work: list[tuple[Row, Detections]] = []
    for group in groups:
        views = [(name, rate) for name in group.sets for rate in group.rates or (None,)]
        found.append({view: {_where(row): _told(row) for row in _rows(group, *view)} for view in views})
        resampled = [view for view in views if view[0] == POOLED and group.metric != AUROC]
        work += [(row, found[-1][view]) for view in resampled for row in _rows(group, *view) if behind.cell(row)]
    work.sort(key=lambda one: one[0].target)  # a target's resamples serve all of its rows
    with Progress("resampling for mean ranks", len(work), unit="cells", stream=progress if work else None) as bar:
        for row, there in work:
            there[_where(row)] = behind.detection(row)
            bar.advance(1)
    return [Standings(group, one) for group, one in zip(groups, found, strict=True)]


class _Behind:
    """The scores behind rows."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batch = {id(row): batch for batch in batches for row in batch.rows}
        self._cells: dict[int, dict[tuple[Key, str], Cell]] = {}
        self._redraws = Redraws()

    def cell(self, row: Row) -> Cell | None:
        """Whose score a row is about, where it is at hand under the row's attack."""
        batch = self._batch[id(row)]
        if id(batch) not in self._cells:
            read = batch.cells() if batch.cells else []
            self._cells[id(batch)] = {(cell.key, cell.target): cell for cell in read}
        found = self._cells[id(batch)].get((key_of(row), row.target))
        return found if found is not None and row.attack in found.stored.attacks else None

    def detection(self, row: Row) -> Detection:
        """What a row of TPR says, with resamples where the scores give just this row."""
        cell = self.cell(row)
        if cell is None or row.fpr_nominal is None:
            return _told(row)
        found = detection(cell, row.attack, row.nonmember_set, row.fpr_nominal, self._redraws)
        return found if (found.value, found.fingerprint) == (row.value, row.images_fingerprint) else _told(row)


def _rows(group: Group, nonmember_set: str, rate: float | None) -> Iterator[Row]:
    """The rows with a number that main scores are compared by."""
    mains = {entry.key for entry in group.entries if entry.main}
    for (key, _, _, name, at), line in group.by_cell.items():
        row = line.shown(group.metric)
        if key in mains and (name, at) == (nonmember_set, rate) and row is not None and row.value is not None:
            yield row


def _told(row: Row) -> Detection:
    """What a row says alone."""
    return Detection(row.value or 0.0, None, row.n_members, row.images_fingerprint, NO_SCORES)


def _where(row: Row) -> tuple[Key, tuple[str, str, str]]:
    return key_of(row), (row.task, row.attack, row.target)
