"""Robustness as one number: the area under a detector's curve of the TPR over the strength of a kind of attack.

The strength is the attack's own number, counted from where it does nothing (clean images) to the strongest that was
run, so that jpeg75 lies in the middle between clean images and jpeg50. It needs no measurement, and all detectors and
targets meet the same. The area is divided by the length of the axis: the mean TPR over the strengths, if the TPR is
straight between those that were run. Areas whose strongest attack differs are not comparable. The second area is over
what the attack takes from the images, 1 - SSIM, which makes kinds of attacks comparable; PSNR would not do, since it is
infinite for clean images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from iarbench.results.curves import distances
from iarbench.results.rows import CLEAN, Row
from iarbench.stats.area import trapezoid
from iarbench.stats.metrics import Estimate


@dataclass(frozen=True, slots=True)
class Area:
    """One detector against one kind of attack, on one target or as the mean over all of them."""

    kind: str
    attacks: tuple[str, ...]
    """the weakest first"""
    target: str | None
    """None for the mean over all targets"""
    over_strength: Estimate
    """in [0, 1], higher = better"""
    over_ssim: Estimate | None
    """None where SSIM was not measured, or the attacks leave all the same"""
    at_threshold: bool
    """whether an interval that it is made of is about a very threshold (`Row.interval`)"""


def areas(rows: Mapping[tuple[str, str], Row]) -> list[Area]:
    """Of one detector, whose rows of one metric are given by attack and target: for every kind of attack with two
    strengths or more every target, the worst first, then, where all targets have one, the mean over them.

    Clean images are the beginning where they were scored. A target without a number at one of the strengths has none.
    """
    targets = sorted({target for _, target in rows})
    attacks = list(dict.fromkeys(attack for attack, _ in rows))
    result: list[Area] = []
    for kind, away in distances(attacks).items():
        if len(set(away.values())) < 2:
            continue
        clean = {CLEAN: 0.0} if CLEAN in attacks else {}
        strengths = clean | dict(sorted(away.items(), key=lambda one: (one[1], one[0])))
        found = [
            _area(kind, strengths, target, curve)
            for target in targets
            if len(curve := [row for attack in strengths if (row := _known(rows, attack, target))]) == len(strengths)
        ]
        result += sorted(found, key=lambda area: area.over_strength.value)
        if len(found) == len(targets) > 1:
            result.append(_mean(found))
    return result


def _known(rows: Mapping[tuple[str, str], Row], attack: str, target: str) -> Row | None:
    row = rows.get((attack, target))
    return row if row is not None and row.value is not None else None


def _area(kind: str, strengths: Mapping[str, float], target: str, curve: Sequence[Row]) -> Area:
    away = list(strengths.values())
    left = [1.0 if row.attack == CLEAN else row.ssim for row in curve]
    lost = [1 - ssim for ssim in left if ssim is not None]
    measured = len(lost) == len(curve) and max(lost) > min(lost)
    return Area(
        kind, tuple(strengths), target, _under(curve, away), _under(curve, lost) if measured else None,
        any(row.interval == "at-threshold" for row in curve),
    )  # fmt: skip


def _under(curve: Sequence[Row], positions: Sequence[float]) -> Estimate:
    order = np.argsort(positions, kind="stable")
    weights = trapezoid(np.array(positions, dtype=np.float64)[order])
    ends = np.array([(curve[place].value, curve[place].low, curve[place].high) for place in order], dtype=np.float64)
    return Estimate(*(float(x) for x in np.clip(weights @ ends, 0.0, 1.0)))


def _mean(found: Sequence[Area]) -> Area:
    known = [area.over_ssim for area in found if area.over_ssim is not None]
    over_ssim = _mean_of(known) if len(known) == len(found) else None
    over_strength = _mean_of([area.over_strength for area in found])
    return replace(
        found[0], target=None, over_strength=over_strength, over_ssim=over_ssim,
        at_threshold=any(area.at_threshold for area in found),
    )  # fmt: skip


def _mean_of(found: Sequence[Estimate]) -> Estimate:
    """Its interval is the mean of theirs: the same non-members stand behind all targets."""
    return Estimate(*(fmean(getattr(one, name) for one in found) for name in ("value", "low", "high")))
