"""What of the rows of an attribution run is shown: its lines, chosen, gathered and sorted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from iarbench.errors import UserError
from iarbench.results.attribution.rows import (
    BALANCED,
    CLOSED,
    EVERY,
    LEFT_OUT,
    MAP,
    NAMED,
    OPEN,
    RANK1,
    RECALL,
    AttributionRow,
)
from iarbench.results.attribution.settings import LEVELS
from iarbench.results.rows import CLEAN
from iarbench.results.view import View, detector_label, encoder_label, encoder_order


@dataclass(frozen=True, slots=True)
class Line:
    """One score of a detector with one encoder under one attack, at one level; rows are None where there are none."""

    level: str
    detector: str
    encoder: str
    attack: str
    threshold_kind: str
    rank1: AttributionRow | None
    map: AttributionRow | None
    balanced: AttributionRow | None
    recalls: tuple[AttributionRow, ...]
    """of each class, the worst first"""
    named: dict[str, AttributionRow]
    """Source of images that no target made -> how many of them are named."""
    left_out: dict[str, AttributionRow]
    """Family -> how many of its images are named while it is unknown; under `EVERY` the mean."""
    reasons: tuple[str, ...]


def lines_of(rows: Sequence[AttributionRow], view: View | None = None) -> list[Line]:
    """The lines to show, models before families, clean images first, the best detector first.

    Raises:
        UserError: there are no rows, or none at the rate asked for.
    """
    view = view or View()
    rate = chosen_fpr(rows, view.fpr)
    kinds = ("matched", "transfer") if view.details else ("matched",)
    kept = [row for row in _chosen(rows, view) if row.fpr_nominal in (None, rate) and row.threshold_kind in kinds]
    groups: dict[tuple[str, ...], list[AttributionRow]] = {}
    for row in kept:
        key = (detector_label(row), encoder_label(row), row.attack, row.threshold_kind)  # type: ignore[arg-type]
        groups.setdefault(key, []).append(row)
    lines = [_line(level, key, found) for level in LEVELS for key, found in groups.items()]
    return sorted(lines, key=lambda line: (LEVELS.index(line.level), line.attack != CLEAN, line.attack, _rank(line)))


def chosen_fpr(rows: Sequence[AttributionRow], fpr: float | None) -> float | None:
    """The nominal rate to show: `fpr`, which must have rows; else 1 %, or the smallest that has numbers; None: none."""
    if not rows:
        raise UserError("there are no results to show: the run holds no finished cell")
    rates = sorted({row.fpr_nominal for row in rows if row.fpr_nominal is not None})
    if fpr is not None:
        if fpr not in rates:
            raise UserError(
                f"no results at rate {fpr:g}; there are: {', '.join(f'{rate:g}' for rate in rates) or 'none'}"
            )
        return fpr
    usable = {row.fpr_nominal for row in rows if row.value is not None}
    return next((rate for rate in (0.01, *rates) if rate in usable), rates[0] if rates else None)


def _chosen(rows: Sequence[AttributionRow], view: View) -> list[AttributionRow]:
    encoders: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        encoders.setdefault(_made_by(row), []).append(row.encoder)
    best = {key: min(names, key=encoder_order) for key, names in encoders.items()}
    return [
        row
        for row in rows
        if (view.all_scores or row.main) and (view.all_encoders or row.encoder == best[_made_by(row)])
    ]


def _made_by(row: AttributionRow) -> tuple[str, str, str]:
    return row.detector, row.parameters, row.precision


def _line(level: str, key: tuple[str, ...], rows: Iterable[AttributionRow]) -> Line:
    detector, encoder, attack, threshold_kind = key
    rows = [row for row in rows if row.level in (level, None) or row.reason]

    def pick(**wanted: Any) -> list[AttributionRow]:
        return [row for row in rows if row.value is not None and all(getattr(row, k) == v for k, v in wanted.items())]

    def first(**wanted: Any) -> AttributionRow | None:
        return next(iter(pick(subject=EVERY, **wanted)), None)

    left_out = pick(setting=LEFT_OUT, metric=NAMED)
    return Line(
        level,
        detector,
        encoder,
        attack,
        threshold_kind,
        rank1=first(setting=CLOSED, metric=RANK1),
        map=first(setting=CLOSED, metric=MAP),
        balanced=first(setting=OPEN, metric=BALANCED),
        recalls=tuple(sorted(pick(setting=OPEN, metric=RECALL), key=lambda row: (row.value, row.subject))),
        named={row.subject: row for row in pick(setting=OPEN, metric=NAMED)},
        left_out={row.subject: row for row in left_out},
        reasons=tuple(dict.fromkeys(row.reason for row in rows if row.reason)),
    )


def _rank(line: Line) -> tuple[float, str, str, str]:
    value = line.balanced.value if line.balanced and line.balanced.value is not None else -1.0
    return -value, line.detector, line.encoder, line.threshold_kind
