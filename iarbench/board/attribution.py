"""Rows of attribution tasks as plain values for the page: one table, and the confusion matrices behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from iarbench.board.command_line import template
from iarbench.board.data import Cell, Json, cell_of, number, page_of
from iarbench.board.gather import Batch
from iarbench.results.attribution.rows import CLOSED, EVERY, NONE, RANK1, AttributionRow
from iarbench.results.attribution.settings import LEVELS
from iarbench.results.attribution.view import Line, lines_of
from iarbench.results.rows import CLEAN
from iarbench.results.view import View, detector_label, encoder_label

Pair = tuple[AttributionRow, Batch]


def attribution_data(batches: Sequence[Batch]) -> list[Json]:
    """A group per task, version and images: numbers on other images never stand in one table.

    Lines are {rank or None, entry, level, attack, rate, cells, command, why}, with places in the lists of names; ranks
    are by balanced accuracy, among main scores, for each level, attack and rate. `confusions` belong to lines by place:
    {place: {answers, rows: [[whose images, cells in % of them]]}}.
    """
    found: dict[tuple[str, int, str], list[Pair]] = {}
    for batch in sorted(batches, key=lambda batch: batch.own):
        rows = [row for row in batch.rows if isinstance(row, AttributionRow)]
        images = _images(rows)
        for row in rows:
            found.setdefault((row.task, row.task_version, images.get(row.detector, "")), []).append((row, batch))
    ordered = sorted(found.items(), key=lambda item: (*item[0][:2], -max(row.n_images for row, _ in item[1])))
    taken: set[str] = set()
    return [_group(pairs, taken) for _, pairs in ordered]


def _images(rows: Iterable[AttributionRow]) -> dict[str, str]:
    """Detector -> fingerprint of the images that it was asked about in the closed set."""
    every = (RANK1, CLOSED, EVERY)
    closed = (row for row in rows if row.value is not None and (row.metric, row.setting, row.subject) == every)
    return {row.detector: row.images_fingerprint for row in closed}


def _group(pairs: list[Pair], taken: set[str]) -> Json:
    rows = [row for row, _ in pairs]
    by_label = {(detector_label(row), encoder_label(row)): pair for pair in pairs for row in [pair[0]]}  # type: ignore[arg-type]
    rates: list[float | None] = [*sorted({row.fpr_nominal for row in rows if row.fpr_nominal is not None})] or [None]
    attacks = sorted({row.attack for row in rows}, key=lambda name: (name != CLEAN, name))
    shown: list[tuple[int, Line]] = []
    mains: set[tuple[str, str]] = set()
    for place, rate in enumerate(rates):
        shown += [(place, line) for line in lines_of(rows, View(fpr=rate, all_scores=True, all_encoders=True))]
        mains |= {(line.detector, line.encoder) for line in lines_of(rows, View(fpr=rate, all_encoders=True))}
    subjects = list(dict.fromkeys(name for _, line in shown for name in line.named))
    name = f"{rows[0].task}-v{rows[0].task_version}"
    while name in taken:
        name += "-other-images"
    taken.add(name)
    n_images = max((row.n_images for row in rows if row.setting == CLOSED), default=0)
    return {
        "id": name,
        "title": f"{rows[0].task}, version {rows[0].task_version}",
        "task": rows[0].task,
        "kind": "attribution",
        "limit": max((batch.limit for _, batch in pairs if batch.limit), default=None),
        "about": f"{n_images} images of {max(len(row.targets) for row in rows)} targets, and images of none of them",
        "attacks": attacks,
        "rates": [None if rate is None else f"{100 * rate:g}%" for rate in rates],
        "levels": list(LEVELS),
        "columns": [
            "balanced accuracy", "Rank-1", "mAP", "worst class", *(f"{name} named" for name in subjects),
            "left-out family named", "ms",
        ],
        "lines": [
            _line(line, place, attacks, subjects, mains, by_label[line.detector, line.encoder], shown)
            for place, line in shown
        ],
        "chance": _chance(shown),
        "confusions": {str(n): confusion for n, (_, line) in enumerate(shown) if (confusion := _confusion(line))},
    }  # fmt: skip


def _line(
    line: Line, rate: int, attacks: list[str], subjects: list[str], mains: set[tuple[str, str]], pair: Pair,
    shown: list[tuple[int, Line]],
    ) -> Json:  # fmt: skip
    row, batch = pair
    main = (line.detector, line.encoder) in mains
    rivals = [
        other for place, other in shown
        if (place, other.level, other.attack) == (rate, line.level, line.attack)
        and (other.detector, other.encoder) in mains and _value(other) is not None
    ]  # fmt: skip
    own = _value(line)
    seconds = next((found.seconds_per_image for found in (line.balanced, line.rank1, row) if found), 0.0)
    return {
        "rank": 1 + sum((_value(other) or 0) > own for other in rivals) if main and own is not None else None,
        "entry": {
            "detector": row.detector,
            "name": line.detector,
            "encoder": line.encoder,
            "version": row.detector_version,
            "page": page_of(row.detector),
            "main": main,
            "own": batch.own,
            "source": row.source,
            "submission": row.submission,
        },
        "level": LEVELS.index(line.level),
        "attack": attacks.index(line.attack),
        "rate": rate,
        "cells": [
            *(cell_of(found) for found in (line.balanced, line.rank1, line.map)),
            _named(line.recalls[0] if line.recalls else None),
            *(cell_of(line.named.get(name)) for name in subjects),
            cell_of(line.left_out.get(EVERY)),
            number(1000 * seconds, 1),
        ],
        "command": template(row, batch, batch.limit, ("--attack", line.attack)),
        "why": "; ".join(line.reasons),
    }


def _value(line: Line) -> float | None:
    return None if line.balanced is None else line.balanced.value


def _named(row: AttributionRow | None) -> Cell:
    """The class found least, with its name."""
    text, *numbers = cell_of(row)
    return [f"{row.subject} {text}" if row else text, *numbers]


def _chance(shown: list[tuple[int, Line]]) -> Json:
    """By level: what a guess reaches in balanced accuracy, Rank-1 and mAP, in %."""
    found: Json = {}
    for _, line in shown:
        rows = (line.balanced, line.rank1, line.map)
        found.setdefault(line.level, [number(100 * row.chance if row and row.chance else None, 1) for row in rows])
    return found


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
