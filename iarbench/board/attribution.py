"""Rows of attribution tasks as plain values for the page: one table, and the confusion matrices behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from iarbench.board.command_line import template
from iarbench.board.data import QUALITY, Cell, Json, cell_of, number, page_of
from iarbench.board.gather import Batch
from iarbench.board.origin import origin
from iarbench.board.provenance import link
from iarbench.results.attribution.rows import CLOSED, EVERY, NONE, RANK1, AttributionRow
from iarbench.results.attribution.settings import LEVELS
from iarbench.results.attribution.view import Line, lines_of
from iarbench.results.rows import clean_first
from iarbench.results.view import View, detector_label, encoder_label

Pair = tuple[AttributionRow, Batch]


def attribution_data(batches: Sequence[Batch]) -> list[Json]:
    """A group per task, version, metrics and images: numbers on other images never stand in one table.

    Lines are {rank or None, entry, level, attack, rate, cells, command, why}, with places in the lists of names; ranks
    are by balanced accuracy, among main scores, for each level, attack and rate. `confusions` belong to lines by place:
    {place: {answers, rows: [[whose images, cells in % of them]]}}.
    """
    found: dict[tuple[str, int, int, str], list[Pair]] = {}
    for batch in sorted(batches, key=lambda batch: batch.own):
        rows = [row for row in batch.rows if isinstance(row, AttributionRow)]
        images = _images(rows)
        for row in rows:
            key = (row.task, -row.task_version, -row.metric_version, images.get(row.detector, ""))
            found.setdefault(key, []).append((row, batch))
    tables = [_Table(_latest(pairs)) for pairs in found.values()]
    tables.sort(key=lambda table: (table.sample.task, -table.sample.task_version, -table.n_images))
    return [table.data() for table in tables]


def _images(rows: Iterable[AttributionRow]) -> dict[str, str]:
    """Detector -> fingerprint of the images that it was asked about in the closed set."""
    every = (RANK1, CLOSED, EVERY)
    closed = (row for row in rows if row.value is not None and (row.metric, row.setting, row.subject) == every)
    return {row.detector: row.images_fingerprint for row in closed}


def _latest(pairs: Iterable[Pair]) -> list[Pair]:
    """Of rows about the same, the last one: the user's, where there are both."""
    return list({_about(row): (row, batch) for row, batch in pairs}.values())


def _about(row: AttributionRow) -> tuple[object, ...]:
    who = (row.detector, row.parameters, row.score_name, row.encoder, row.precision, row.attack)
    return (*who, row.level, row.setting, row.left_out, row.metric, row.subject, row.threshold_kind, row.fpr_nominal)


@dataclass(frozen=True)
class _Table:
    """The rows of one group."""

    pairs: list[Pair]

    @property
    def sample(self) -> AttributionRow:
        return self.pairs[0][0]

    @cached_property
    def rows(self) -> list[AttributionRow]:
        return [row for row, _ in self.pairs]

    @cached_property
    def n_images(self) -> int:
        return max((row.n_images for row in self.rows if row.setting == CLOSED), default=0)

    @cached_property
    def rates(self) -> list[float | None]:
        return [*sorted({row.fpr_nominal for row in self.rows if row.fpr_nominal is not None})] or [None]

    @cached_property
    def attacks(self) -> list[str]:
        return clean_first(row.attack for row in self.rows)

    @cached_property
    def lines(self) -> list[tuple[int, Line]]:
        """Place of the rate, and a line of the table there."""
        views = [View(fpr=rate, all_scores=True, all_encoders=True) for rate in self.rates]
        return [(place, line) for place, view in enumerate(views) for line in lines_of(self.rows, view)]

    @cached_property
    def mains(self) -> set[tuple[str, str]]:
        """Detector and encoder of the scores that stand for their detectors."""
        return {_who(row) for row in self.rows if row.main}

    @cached_property
    def subjects(self) -> list[str]:
        """Sets of images that no target made."""
        return list(dict.fromkeys(name for _, line in self.lines for name in line.named))

    @cached_property
    def quality(self) -> dict[str, tuple[float | None, float | None]]:
        """Attack -> PSNR and SSIM of what it left of the images, where that was measured."""
        return {row.attack: (row.psnr, row.ssim) for row in self.rows if row.psnr is not None}

    def data(self) -> Json:
        """The whole group."""
        named = [f"{subject} named" for subject in self.subjects]
        quality = QUALITY if self.quality else ()
        targets = max(len(row.targets) for row in self.rows)
        limit = max((batch.limit for _, batch in self.pairs if batch.limit), default=None)
        return {
            "id": link(f"{self.sample.task}-v{self.sample.task_version}", limit),
            "title": f"{self.sample.task}, version {self.sample.task_version}",
            "task": self.sample.task,
            "kind": "attribution",
            "limit": limit,
            "about": f"{self.n_images} images of {targets} targets, and images of none of them",
            "attacks": self.attacks,
            "rates": [None if rate is None else f"{100 * rate:g}%" for rate in self.rates],
            "levels": list(LEVELS),
            "columns": ["balanced accuracy", "Rank-1", "mAP", "worst class", *named, "left-out family named", "ms",
                        *quality],
            "lines": list(self._lines()),
            "chance": self._chance(),
            "confusions": {str(n): found for n, (_, line) in enumerate(self.lines) if (found := _confusion(line))},
        }  # fmt: skip

    def _lines(self) -> Iterator[Json]:
        known: dict[tuple[str, str], list[Pair]] = {}
        for pair in self.pairs:
            known.setdefault(_who(pair[0]), []).append(pair)
        origins = {who: origin(pairs) for who, pairs in known.items()}
        for rate, line in self.lines:
            who = line.detector, line.encoder
            row, (batch, submissions) = known[who][-1][0], origins[who]
            yield {
                "rank": self._rank(rate, line),
                "entry": {
                    "detector": row.detector,
                    "name": line.detector,
                    "encoder": line.encoder,
                    "version": row.detector_version,
                    "page": page_of(row.detector),
                    "main": (line.detector, line.encoder) in self.mains,
                    "own": batch.own,
                    "source": row.source,
                    "submissions": submissions,
                },
                "level": LEVELS.index(line.level),
                "attack": self.attacks.index(line.attack),
                "rate": rate,
                "cells": self._cells(line, row),
                "command": template(row, batch, batch.limit, ("--attack", line.attack)),
                "why": "; ".join(line.reasons),
            }

    def _rank(self, rate: int, line: Line) -> int | None:
        """Among main scores; equal values share it."""
        own = _value(line)
        if own is None or (line.detector, line.encoder) not in self.mains:
            return None
        here = (rate, line.level, line.attack)
        rivals = (
            _value(other)
            for place, other in self.lines
            if (place, other.level, other.attack) == here and (other.detector, other.encoder) in self.mains
        )
        return 1 + sum(value is not None and value > own for value in rivals)

    def _cells(self, line: Line, row: AttributionRow) -> list[Cell]:
        seconds = next((found.seconds_per_image for found in (line.balanced, line.rank1, row) if found), 0.0)
        psnr, ssim = self.quality.get(line.attack, (None, None))
        return [
            *(cell_of(found) for found in (line.balanced, line.rank1, line.map)),
            _named(line.recalls[0] if line.recalls else None),
            *(cell_of(line.named.get(name)) for name in self.subjects),
            cell_of(line.left_out.get(EVERY)),
            number(1000 * seconds, 1),
            *([number(psnr, 1), number(ssim, 3)] if self.quality else ()),
        ]

    def _chance(self) -> Json:
        """By level: what a guess reaches in balanced accuracy, Rank-1 and mAP, in %."""
        found: Json = {}
        for _, line in self.lines:
            rows = (line.balanced, line.rank1, line.map)
            guesses = [number(100 * row.chance if row and row.chance else None, 1) for row in rows]
            found.setdefault(line.level, guesses)
        return found


def _who(row: AttributionRow) -> tuple[str, str]:
    return detector_label(row), encoder_label(row)  # type: ignore[arg-type]


def _value(line: Line) -> float | None:
    return None if line.balanced is None else line.balanced.value


def _named(row: AttributionRow | None) -> Cell:
    """The class found least, with its name."""
    text, *numbers = cell_of(row)
    return [f"{row.subject} {text}" if row else text, *numbers]


def _confusion(line: Line) -> Json | None:
    row = line.balanced
    if row is None or not row.confusion:
        return None
    return {
        "answers": ["none of them" if name == NONE else name for name in row.predicted],
        "rows": [
            ["none of them" if name == NONE else name, [number(100 * value, 1) for value in values]]
            for name, values in row.confusion.items()
        ],
    }
