"""What the board knows of a provenance task: groups of rows that may stand side by side, their entries and lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from iarbench.board.gather import Batch
from iarbench.results.rows import AUROC, Key, Row
from iarbench.results.view import detector_label, encoder_label

Cell = tuple[Key, str, str, str, float | None]
"""Entry, target, attack, non-member set, nominal rate."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One competitor: one score of a detector with its parameters and version, one encoder, one precision."""

    key: Key
    sample: Row
    """any of its rows"""
    batch: Batch
    submissions: tuple[str, ...]
    """that its rows are part of"""
    main: bool
    """whether the score is the one that stands for its detector"""

    @property
    def label(self) -> str:
        """As tables call it: "quantloss", "quantloss:greedy"."""
        return detector_label(self.sample)

    @property
    def encoder(self) -> str:
        """With the precision where it is not the usual one."""
        return encoder_label(self.sample)


@dataclass(frozen=True, slots=True)
class Line:
    """The numbers of one entry for one target, under one attack, against one set, at one nominal rate."""

    entry: Key
    target: str
    attack: str
    nonmember_set: str
    rate: float | None
    """None in a task without TPR"""
    rows: dict[str, Row]
    """threshold kind -> TPR row, "auroc" -> its row"""
    comparable: bool
    """whether it stands on the images that most lines of its target and set stand on; only such lines are ranked"""

    def shown(self, metric: str) -> Row | None:
        """The row of the metric that lines are compared by."""
        return self.rows.get(AUROC if metric == AUROC else "matched")


def link(name: str, limit: int | None) -> str:
    """The `id` of a group that stands on the first `limit` images of each source; None: on all."""
    return f"{name}-first{limit}" if limit else name


@dataclass(frozen=True)
class Group:
    """Entries of one version of a task on the same images."""

    task: str
    version: int
    metrics: int | None
    """version of the metrics, where rows of a newer one are there; else None"""
    attacked: str
    metric: str
    """that the task compares detectors by"""
    entries: tuple[Entry, ...]
    lines: tuple[Line, ...]
    targets: tuple[str, ...]
    attacks: tuple[str, ...]
    sets: tuple[str, ...]
    rates: tuple[float, ...]
    limit: int | None
    """images of each source and split, where it is known or follows from the rows to be a part of the task"""
    by_cell: dict[Cell, Line] = field(repr=False)

    @property
    def id(self) -> str:
        """Fit for a link. Groups on other images may share it; `iarbench.board.site` numbers these."""
        side = "" if self.attacked == "both" else f"-{self.attacked}"
        metrics = f"-metrics{self.metrics}" if self.metrics else ""
        return link(f"{self.task}-v{self.version}{metrics}{side}", self.limit)

    @property
    def title(self) -> str:
        """For a person."""
        older = f", metrics of version {self.metrics}" if self.metrics else ""
        return f"{self.task}, version {self.version}{older}"

    @property
    def members(self) -> int:
        """How many images of a target are tested, at most."""
        return max(entry.sample.n_members for entry in self.entries)
