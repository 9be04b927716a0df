"""Detector A against detector B on the same images: every target and attack that both were run on, and all together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TextIO

import numpy as np

from iarbench.errors import UserError
from iarbench.progress import Progress
from iarbench.results.compute import Cell
from iarbench.stats.attribution import holm
from iarbench.stats.cuts import cuts_of
from iarbench.stats.intervals import DRAWS, seed_of
from iarbench.stats.paired import Comparison, compare_resampled, delong, resampled_difference, same_images
from iarbench.stats.thresholds import FloatArray, ScoreError, Scores, refusal, threshold
from iarbench.stats.tpr_interval import tpr_interval

ALPHA = 0.05
"""Family-wise error of "clearly better": p-values are corrected by Holm over all cells."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A and B on one target under one attack; what cannot be compared has a reason."""

    target: str
    attack: str
    a: float | None = None
    b: float | None = None
    tpr: Comparison | None = None
    auroc: Comparison | None = None
    p_adjusted: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every pair, and the mean difference in TPR over those that could be compared."""

    fpr: float
    nonmember_set: str
    pairs: tuple[Pair, ...]
    mean: Comparison | None

    def sentence(self, a: str, b: str) -> str:
        """What it comes to, in words."""
        done = [pair for pair in self.pairs if pair.tpr and pair.p_adjusted is not None]
        if self.mean is None:
            return f"{a} and {b} cannot be compared at {100 * self.fpr:g}% FPR: {self.pairs[0].reason}."
        found, p, at = self.mean.difference, self.mean.p_value, f"At {100 * self.fpr:g}% FPR"
        over = f"over {len(done)} pairs of target and attack" if len(done) > 1 else f"for {done[0].target}"
        clear = [pair for pair in done if pair.p_adjusted is not None and pair.p_adjusted <= ALPHA and pair.tpr]
        better = sum(pair.tpr.difference.value > 0 for pair in clear if pair.tpr)
        interval = f"(95% interval {100 * found.low:+.1f} to {100 * found.high:+.1f}, p = {p:.2g})"
        counts = f"clearly better on {better}, clearly worse on {len(clear) - better} of {len(done)} (Holm, 5%)"
        if found.low <= 0 <= found.high:
            return f"{at} no difference in mean TPR is shown between {a} and {b} {over} {interval}; {a} is {counts}."
        more = f"{100 * abs(found.value):.1f} points {'more' if found.value > 0 else 'fewer'}"
        return f"{at} {a} finds {more} of the targets' images than {b} {over} {interval}; it is {counts}."


def compare_cells(
    a: Sequence[Cell],
    b: Sequence[Cell],
    *,
    fpr: float,
    nonmember_set: str,
    attacks: Sequence[str] = (),
    draws: int = DRAWS,
    progress: TextIO | None = None,
) -> Verdict:
    """Compare two detectors, given as one cell a target each.

    The bootstrap draws images, not scores: both detectors, and all attacks on a target, meet the same draws of members
    and of calibration images, and each detector's threshold is set anew in each of them.

    Raises:
        UserError: they have no target and attack in common.
    """
    others = {cell.target: cell for cell in b}
    both = [
        (cell, others[cell.target], attack)
        for cell in a
        if cell.target in others
        for attack in cell.attacks
        if attack in others[cell.target].attacks and (not attacks or attack in attacks)
    ]
    if not both:
        raise UserError("they have no target and attack in common")
    pairs: list[Pair] = []
    spreads: list[FloatArray] = []
    with Progress("comparing", len(both), unit="pairs", stream=progress) as bar:
        for one, other, attack in both:
            pair, spread = _pair(one, other, attack, fpr, nonmember_set, draws)
            pairs.append(pair)
            spreads += [] if spread is None else [spread]
            bar.advance(1)
    adjusted = holm({str(n): pair.tpr.p_value for n, pair in enumerate(pairs) if pair.tpr})
    found = tuple(replace(pair, p_adjusted=adjusted.get(str(number))) for number, pair in enumerate(pairs))
    values = [pair.tpr.difference.value for pair in pairs if pair.tpr]
    mean = compare_resampled(float(np.mean(values)), np.mean(spreads, axis=0)) if values else None
    return Verdict(fpr, nonmember_set, found, mean)


def _pair(a: Cell, b: Cell, attack: str, fpr: float, nonmember_set: str, draws: int) -> tuple[Pair, FloatArray | None]:
    try:
        samples = [cell.samples(attack, nonmember_set) for cell in (a, b)]
        for one, other in zip(*samples, strict=True):
            same_images(one, other)
        area = delong(*((members, nonmembers) for members, nonmembers, _ in samples))
        sides = [(members, calibration) for members, _, calibration in samples]
        if reason := _reason(sides, fpr):
            return Pair(a.target, attack, auroc=area, reason=reason), None
    except ScoreError as error:
        return Pair(a.target, attack, reason=str(error)), None
    values = [members.mean(members.scores > threshold(calibration, fpr)) for members, calibration in sides]
    streams = f"members/{a.target}", f"calibration/{nonmember_set}"  # by what they draw, so that attacks share them
    spread = resampled_difference(sides[0], sides[1], fpr, seed=seed_of("compare", fpr), draws=draws, streams=streams)
    tpr = compare_resampled(values[0] - values[1], spread)
    return Pair(a.target, attack, values[0], values[1], tpr, area), spread


def _reason(sides: Iterable[tuple[Scores, Scores]], fpr: float) -> str | None:
    """Why thresholds cannot be drawn anew."""
    for members, calibration in sides:
        if found := refusal(calibration, fpr):
            return found
        if tpr_interval(cuts_of(members), cuts_of(calibration), fpr)[0] is None:
            return (
                f"the calibration images are too few to draw a threshold at FPR {100 * fpr:g}% anew: independent ones, "
                "one a group, must be 368 at 1% or 72 at 5%"
            )
    return None
