"""The TPR of every detector in every cell (task, attack, target), with resamples that draw the same images for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from iarbench.errors import UserError
from iarbench.progress import Progress
from iarbench.results.compute import Cell
from iarbench.results.redraws import Redraws
from iarbench.results.rows import POOLED, TPR, Key
from iarbench.stats.cuts import cuts_of
from iarbench.stats.intervals import independent_groups
from iarbench.stats.paired import resampled_tpr
from iarbench.stats.thresholds import FloatArray, ScoreError, refusal, threshold
from iarbench.stats.tpr_interval import tpr_interval

Place = tuple[str, str, str]
"""Task, attack and target."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """How many of a target's images one competitor finds under one attack, in [0, 1], at the matched threshold."""

    value: float
    draws: FloatArray | None = None
    """(b,) the same in resamples of members and calibration images, thresholds drawn anew; None: see `reason`"""
    images: float = 0.0
    """how many independent members it rests on"""
    fingerprint: str = ""
    """of exactly the images"""
    reason: str | None = None
    """why there are no resamples"""


Detections = dict[tuple[Key, Place], Detection]


def detections(
    cells: Sequence[Cell],
    fpr: float,
    *,
    nonmember_set: str = POOLED,
    redraws: Redraws | None = None,
    progress: TextIO | None = None,
) -> tuple[Detections, dict[tuple[Key, Place], str]]:
    """Those that the scores allow, and of the others why not. Where two cells are of the same competitor on the same
    target of a task, the first one counts."""
    redraws = redraws or Redraws()
    work: dict[tuple[Key, Place], Cell] = {}
    for cell in sorted(cells, key=lambda cell: cell.target):  # so that a target's resamples are drawn once
        for attack in cell.attacks:
            work.setdefault((cell.key, (cell.task.name, attack, cell.target)), cell)
    found: Detections = {}
    refused: dict[tuple[Key, Place], str] = {}
    with Progress("resampling", len(work), unit="cells", stream=progress) as bar:
        for where, cell in work.items():
            try:
                found[where] = detection(cell, where[1][1], nonmember_set, fpr, redraws)
            except ScoreError as error:
                refused[where] = str(error)
            bar.advance(1)
    return found, refused


def detection(cell: Cell, attack: str, nonmember_set: str, fpr: float, redraws: Redraws) -> Detection:
    """One of them. Raises ScoreError where there is no threshold."""
    members, _, calibration = cell.samples(attack, nonmember_set)
    roles = cell.roles(nonmember_set)
    value = members.mean(members.scores > threshold(calibration, fpr))
    images, fingerprint = independent_groups(members), cell.index.fingerprint(*roles)
    if tpr_interval(cuts_of(members), cuts_of(calibration), fpr)[0] is None:
        why = f"too few independent calibration images to draw a threshold at FPR {100 * fpr:g}% anew"
        return Detection(value, None, images, fingerprint, why)
    own, other = redraws.of(cell.index, roles[0]), redraws.of(cell.index, roles[2])
    return Detection(value, resampled_tpr(members, own.weights, calibration, other, fpr), images, fingerprint)


def usual_rate(cells: Iterable[Cell], fpr: float | None = None, nonmember_set: str = POOLED) -> float:
    """The nominal rate to show: `fpr`, which every task must have; else 1%, or the smallest rate at which there is a
    threshold where 1% has none.

    Raises:
        UserError: a task lacks the rate, or asks for no TPR.
    """
    cells = list(cells)
    tasks = {cell.task.name: cell.task for cell in cells}
    if lacking := [name for name, task in tasks.items() if TPR not in task.metrics]:
        raise UserError(f"task {lacking[0]} has no TPR at an FPR, which detectors are ranked by here")
    rates = sorted(set.intersection(*(set(task.fprs) for task in tasks.values())))
    known = ", ".join(f"{rate:g}" for rate in rates) or "none"
    if (fpr is not None and fpr not in rates) or not rates:
        raise UserError(f"no results at FPR {'of all tasks' if fpr is None else f'{fpr:g}'}; there are: {known}")
    if fpr is not None:
        return fpr
    best = [rate for rate in (0.01, *rates) if rate in rates]
    return next((rate for rate in best if any(_has_threshold(cell, nonmember_set, rate) for cell in cells)), best[0])


def _has_threshold(cell: Cell, nonmember_set: str, fpr: float) -> bool:
    try:
        return refusal(cell.samples(cell.attacks[0], nonmember_set)[2], fpr) is None
    except ScoreError:
        return False
