"""A group as plain values: what the page's tables show and what its script reads, numbers with their text beside them.

The script formats no number: every text on the page was made here, from the rows.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from iarbench.board.command_line import single
from iarbench.board.gather import AnyRow
from iarbench.board.overall import mean_of, overall_data, rank_cell
from iarbench.board.provenance import Entry, Group, Line
from iarbench.board.ranking import Place, families, places
from iarbench.board.standings import Standings
from iarbench.results.attribution import tables as attribution
from iarbench.results.curves import curves
from iarbench.results.rows import AUROC, POOLED, THRESHOLDS, Row
from iarbench.results.tables import DASH, with_interval

Json = dict[str, Any]
Cell = list[Any]
"""[text, number to sort by and to draw, low, high]; numbers are None where there are none, fractions are in percent"""

QUALITY = ("PSNR", "SSIM")
"""Columns of what an attack left of the images, where that was measured."""

SETS = {POOLED: "all non-members, pooled", "mirrored": "the target's own images, mirrored"}
"""Non-member sets by what they are, where the name does not say it."""


def page_of(detector: str) -> str:
    """Address of a detector's page below the board."""
    return f"detectors/{''.join(sign if sign.isalnum() or sign in '-_' else '-' for sign in detector)}.html"


def group_data(standings: Standings) -> Json:
    """Everything about the group of some standings.

    Lines are [entry, target, attack, set, rate, cells, comparable, reason or ""], the first five as places in the lists
    of names; `cells` go with `columns`. `ranking` has, by "attack/set/rate", [entry, rank or None, worst, its target or
    None, over all targets, a list of those per family, mean rank over the targets], where "over all targets" and those
    per family are the cells [mean, ms, PSNR, SSIM]. What is over all attacks: `overall_data`.
    """
    group = standings.group
    spots = {entry.key: place for place, entry in enumerate(group.entries)}
    by_family = families(group.targets)
    rates = group.rates or (None,)
    thresholds = [kind for kind in THRESHOLDS if any(kind in line.rows for line in group.lines)]
    knows_quality = any(_left(line)[0] is not None for line in group.lines)
    return {
        "id": group.id,
        "title": group.title,
        "task": group.task,
        "kind": "provenance",
        "about": _about(group),
        "limit": group.limit,
        "metric": "AUROC" if group.metric == AUROC else "TPR",
        "targets": list(group.targets),
        "families": [{"name": name, "targets": targets} for name, targets in by_family.items()],
        "attacks": list(group.attacks),
        "sets": [{"name": name, "text": SETS.get(name, name)} for name in group.sets],
        "rates": [None if rate is None else f"{100 * rate:g}%" for rate in rates],
        "words": {name: shlex.quote(name) for name in (*group.targets, *group.attacks)},
        "curves": [
            {"name": name, "attacks": [group.attacks.index(a) for a in found]}
            for name, found in curves(group.attacks, _psnr(group)).items()
        ],
        "quality": knows_quality,
        "columns": [*thresholds, "FPR", "AUROC", "ms", *(QUALITY if knows_quality else ())],
        "entries": [_entry(group, entry) for entry in group.entries],
        "lines": [
            [
                spots[line.entry], group.targets.index(line.target), group.attacks.index(line.attack),
                group.sets.index(line.nonmember_set), rates.index(line.rate), _cells(line, thresholds, knows_quality),
                line.comparable, _reason(line),
            ]
            for line in group.lines
        ],
        "ranking": {
            f"{a}/{s}/{r}": _ranking(standings, (attack, one, rate), spots, by_family)
            for a, attack in enumerate(group.attacks)
            for s, one in enumerate(group.sets)
            for r, rate in enumerate(rates)
        },
        **overall_data(standings, spots),
    }  # fmt: skip


def cell_of(row: AnyRow | None, digits: int = 1) -> Cell:
    """Value and interval of a row, the numbers in percent; a dash where there is none."""
    if row is None or row.value is None:
        return [DASH, None, None, None]
    numbers = (None if x is None else round(100 * x, 4) for x in (row.value, row.low, row.high))
    text = with_interval(row, digits) if isinstance(row, Row) else attribution.with_interval(row, digits)
    return [text, *numbers]


def number(value: float | None, digits: int) -> Cell:
    """A number without an interval, to so many digits."""
    return [DASH if value is None else f"{value:.{digits}f}", None if value is None else round(value, 4), None, None]


def _ranking(
    standings: Standings, where: tuple[str, str, float | None], spots: Mapping[Any, int],
    by_family: Mapping[str, list[str]],
) -> list[Any]:  # fmt: skip
    ranks, group = standings.under(*where), standings.group
    return [
        [*_ranked(place, spots, group, by_family), rank_cell(ranks.get(place.entry.key))]
        for place in places(group, *where)
    ]


def _about(group: Group) -> str:
    what = f"{group.members} images of each of {len(group.targets)} targets"
    part = " at most, the first by id" if group.limit else ""
    side = "" if group.attacked == "both" else f"; attacks act on {group.attacked} only"
    return what + part + side


def _entry(group: Group, entry: Entry) -> Json:
    return {
        "detector": entry.sample.detector,
        "name": entry.label,
        "encoder": entry.encoder,
        "version": entry.sample.detector_version,
        "page": page_of(entry.sample.detector),
        "main": entry.main,
        "own": entry.batch.own,
        "source": entry.sample.source,
        "submissions": list(entry.submissions),
        "command": single(entry.sample, entry.batch, group.limit),
    }


def _cells(line: Line, thresholds: Sequence[str], knows_quality: bool) -> list[Cell]:
    return [
        *(cell_of(line.rows.get(kind)) for kind in thresholds),
        _achieved(line.rows.get("matched")),
        cell_of(line.rows.get(AUROC)),
        number(1000 * _any(line).seconds_per_image, 1),
        *(_quality(*_left(line)) if knows_quality else ()),
    ]


def _any(line: Line) -> Row:
    return next(iter(line.rows.values()))


def _left(line: Line) -> tuple[float | None, float | None]:
    """PSNR in dB and SSIM of what the attack left of the images."""
    return _any(line).psnr, _any(line).ssim


def _psnr(group: Group) -> dict[str, float]:
    """Attack -> mean PSNR in dB over the lines that know it."""
    known: dict[str, list[float]] = {}
    for line in group.lines:
        if (psnr := _left(line)[0]) is not None:
            known.setdefault(line.attack, []).append(psnr)
    return {attack: fmean(found) for attack, found in known.items()}


def _quality(psnr: float | None, ssim: float | None) -> list[Cell]:
    return [number(psnr, 1), number(ssim, 3)]


def _achieved(row: Row | None) -> Cell:
    """The false-positive rate of the matched threshold, in percent."""
    if row is None or row.fpr_achieved is None or row.fpr_low is None or row.fpr_high is None:
        return [DASH, None, None, None]
    numbers = [round(100 * x, 4) for x in (row.fpr_achieved, row.fpr_low, row.fpr_high)]
    return [f"{100 * row.fpr_achieved:.1f}", *numbers]


def _reason(line: Line) -> str:
    return next((row.reason for row in line.rows.values() if row.reason), "")


def _ranked(place: Place, spots: Mapping[Any, int], group: Group, by_family: Mapping[str, list[str]]) -> list[Any]:
    worst = place.lines[place.worst].shown(group.metric) if place.worst else None
    return [
        spots[place.entry.key],
        place.rank,
        cell_of(worst, 0),
        place.worst,
        _means(place, group.targets, group.metric),
        [_means(place, targets, group.metric) for targets in by_family.values()],
    ]


def _means(place: Place, targets: Sequence[str], metric: str) -> list[Cell]:
    """Over some targets: the value, ms, PSNR, SSIM; one target's value has its interval."""
    lines = [place.lines[target] for target in targets if target in place.lines]
    if len(targets) == 1:
        value = cell_of(lines[0].shown(metric) if lines else None)
    else:
        value = mean_of(place.mean_over(targets), metric)
    seconds = [_any(line).seconds_per_image for line in lines]
    left = [_left(line) for line in lines]
    return [
        value,
        number(1000 * fmean(seconds) if seconds else None, 1),
        *_quality(_mean([psnr for psnr, _ in left]), _mean([ssim for _, ssim in left])),
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one is missing."""
    found = [value for value in values if value is not None]
    return fmean(found) if found and len(found) == len(values) else None
