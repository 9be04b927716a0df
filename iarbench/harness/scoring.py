"""Scores of a batch of images: every detector that looks at them, at every target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from iarbench.detector import Scored, reads_condition, what_it_reads
from iarbench.evidence import Conditions, Evidence, Target
from iarbench.harness.batches import exact_threads, pieces, to_images
from iarbench.harness.choose import Choice
from iarbench.harness.isolate import Isolated
from iarbench.harness.plan import Cell, Job, Settings
from iarbench.harness.ready import Ours, Ready, at_work, target_of


@dataclass(slots=True)
class Column:
    """The growing scores of one cell."""

    cell: Cell
    target: Target
    detector: Ours | Isolated
    scores: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    probe: torch.Tensor | None = None
    """The last image of the first batch, for an isolated detector: scored once more in the end."""
    probe_conditions: Conditions = None
    probed: int = 0

    def told(self, conditions: Conditions) -> Conditions:
        """The conditions, for a detector that reads them."""
        return conditions if reads_condition(self.cell.detector.kind) else None

    def add(self, scored: Scored, count: int) -> None:
        """The scores of the first `count` images of a piece; the others filled it up."""
        for name, values in scored.scores.items():
            self.scores.setdefault(name, []).extend(values[:count])
        self.seconds.extend([scored.seconds] * count)

    def check(self, settings: Settings) -> None:
        """Raise UserError when an isolated detector has not kept to the rules meanwhile."""
        if not isinstance(self.detector, Isolated) or self.probe is None:
            return
        scale = max(abs(value) for values in self.scores.values() for value in values)
        before = {name: values[self.probed] for name, values in self.scores.items()}
        self.detector.require_same(self.probe, settings.precision, before, scale, self.probe_conditions)
        self.detector.require_unchanged_weights()


def columns_of(job: Job, ready: Ready) -> list[Column]:
    """A column for every cell; those that share a tokenizer follow each other."""
    together: dict[int, list[Column]] = {}
    for cell in job.cells:
        target = target_of(cell, ready.targets)
        detector = ready.isolated.get(cell.isolated_key) or at_work(cell, ready.targets, ready.learnt)
        together.setdefault(id(target.tokenizer), []).append(Column(cell, target, detector))
    return [column for columns in together.values() for column in columns]


def score(columns: Sequence[Column], batch: np.ndarray, settings: Settings, conditions: Conditions = None) -> None:
    """Add the scores of a batch of pixels uint8 (B, H, W, 3) to every column; `conditions`: see `Evidence`."""
    ours = [column for column in columns if not isinstance(column.detector, Isolated)]
    if ours:
        _score_ours(ours, batch, settings, conditions)
    if len(ours) < len(columns):
        _score_isolated(columns, batch, settings, conditions)


def _score_ours(columns: Sequence[Column], batch: np.ndarray, settings: Settings, conditions: Conditions) -> None:
    for piece, count, told in _told_pieces(columns, batch, settings, conditions):
        with exact_threads(settings):
            _score_piece(columns, piece, count, settings, told)


def _told_pieces(
    columns: Sequence[Column], batch: np.ndarray, settings: Settings, conditions: Conditions
) -> Iterator[tuple[np.ndarray, int, Conditions]]:
    """As `pieces`, with the conditions of each, filled up alike."""
    done = 0
    for piece, count in pieces(batch, settings, columns[0].target.image_size):
        told = conditions and conditions[done : done + count]
        yield piece, count, told and told + told[-1:] * (len(piece) - count)
        done += count


def _score_piece(
    columns: Sequence[Column], piece: np.ndarray, count: int, settings: Settings, conditions: Conditions
) -> None:
    images = to_images(piece, settings.device)
    evidence = Evidence(columns[0].target, images, precision=settings.precision)
    for column in columns:
        assert isinstance(column.detector, Ours)
        # The signals of one tokenizer are let go before the next one's are made.
        if column.target.tokenizer is not evidence.target.tokenizer:
            evidence = Evidence(column.target, images, precision=settings.precision)
        column.add(column.detector.score(evidence, column.target, column.told(conditions)), count)


def _score_isolated(columns: Sequence[Column], batch: np.ndarray, settings: Settings, conditions: Conditions) -> None:
    isolated = [column for column in columns if isinstance(column.detector, Isolated)]
    if not isolated:
        return
    for piece, count, told in _told_pieces(isolated, batch, settings, conditions):
        with exact_threads(settings):
            _score_piece_isolated(isolated, piece, count, settings, told)


def _score_piece_isolated(
    columns: Sequence[Column], piece: np.ndarray, count: int, settings: Settings, conditions: Conditions
) -> None:
    filled = to_images(piece, settings.device)
    for_all_targets: dict[Choice, Scored] = {}
    for column in columns:
        assert isinstance(column.detector, Isolated)
        choice = column.cell.detector
        # What reads the image alone may be slow, and no pass of ours rounds by the size of its batch.
        images = filled[:count] if what_it_reads(choice.kind) == {"image"} else filled
        told = column.told(conditions)
        scored = for_all_targets.get(choice) or column.detector.score(images, settings.precision, told)
        if not choice.kind.uses_target:
            for_all_targets[choice] = scored
        column.add(scored, count)
        if column.probe is None:
            column.probe, column.probed = images[count - 1 : count], count - 1
            column.probe_conditions = told and told[count - 1 : count]
