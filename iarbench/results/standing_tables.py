"""Mean ranks and robustness as tables: cells with a header for text, records for CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iarbench.results.areas import Area
from iarbench.results.ranks import Ranking, Standing
from iarbench.results.rows import COMPETITOR, Key
from iarbench.results.tables import AT_THRESHOLD, DASH
from iarbench.results.view import encoder_of, label_of
from iarbench.stats.metrics import Estimate


@dataclass(frozen=True, slots=True)
class Standings:
    """A table in every form: `grid` (its first row the header, `texts` columns of text), `notes` on how to read it, and
    `records` with every number in full."""

    grid: list[list[str]]
    texts: int
    notes: list[str]
    records: list[dict[str, Any]]


def of_ranks(found: Ranking, fpr: float) -> Standings:
    """Competitors by mean rank, the best first."""
    head = ["detector", "encoder", "mean rank", f"mean TPR@{100 * fpr:g}%"]
    body = [[*_names(key), rank_text(one), _percent(one.tpr)] for key, one in found.standings.items()]
    ranked = sum(one.rank is not None for one in found.standings.values())
    tasks, attacks, targets = (list(dict.fromkeys(place[n] for place in found.places)) for n in range(3))
    notes = [
        f"Mean rank among {ranked} (1 = best, equal TPRs share a rank) over {len(found.places)} cells: "
        f"{', '.join(tasks)}; {', '.join(attacks)}; {len(targets)} targets.",
        "[lowest, highest] mean rank that the images do not rule out, 95%; of these cells, not of other attacks or "
        "targets.",
        *(f"{DASH} {' '.join(_names(key))}: {one.reason}." for key, one in found.standings.items() if not one.rank),
        *dict.fromkeys(str(one.reason) for one in found.standings.values() if one.rank and one.reason),
    ]
    records = [
        {**dict(zip(COMPETITOR, key, strict=True)), "mean_rank": one.rank, "low": one.low, "high": one.high,
         "mean_tpr": one.tpr, "fpr_nominal": fpr, "cells": len(found.places), "reason": one.reason}
        for key, one in found.standings.items()
    ]  # fmt: skip
    return Standings([head, *body], 2, notes, records)


def of_areas(found: Mapping[tuple[str, str], Sequence[Area]], metric: str, *, every: bool = False) -> Standings:
    """A row per detector and kind of attack with the worst target and the mean; `every`: a row per target, the worst
    first. `found`: label and encoder -> their areas; `metric`: what the areas are of, such as "TPR@1%"."""
    ssim = any(area.over_ssim for areas in found.values() for area in areas)
    numbers = ["target", "area"] if every else ["worst target", "area", "mean area"]
    head = ["detector", "encoder", "attacks", *numbers, *(["over SSIM"] if ssim else [])]
    body = []
    for names, areas in _blocks(found):
        first, mean = areas[0], areas[-1] if areas[-1].target is None else None
        average = area_text(mean.over_strength, mean.at_threshold) if mean else DASH
        lines = (
            [(area, [area.target or "mean", area_text(area.over_strength, area.at_threshold)]) for area in areas]
            if every
            else [(first, [first.target or DASH, area_text(first.over_strength, first.at_threshold), average])]
        )
        for area, cells in lines:
            last = [area_text(area.over_ssim, area.at_threshold)] if ssim else []
            body.append([*names, " ".join(area.attacks), *cells, *last])
    notes = [
        f"Area under the curve of {metric} over the attack's strength, from the weakest to the strongest, in % of the "
        f"whole: the mean {metric} over the strengths, with its 95% interval.",
        *(["over SSIM: the same over what the attack takes from the images, 1 - SSIM."] if ssim else []),
        *([AT_THRESHOLD] if any(area.at_threshold for areas in found.values() for area in areas) else []),
    ]
    records = [
        {"detector": names[0], "encoder": names[1], "attack": area.kind, "attacks": " ".join(area.attacks),
         "target": area.target, "metric": metric, **_numbers("", area.over_strength),
         **_numbers("ssim_", area.over_ssim), "at_threshold": area.at_threshold}
        for names, areas in _blocks(found) for area in areas
    ]  # fmt: skip
    return Standings([head, *body], 4, notes, records)


def rank_text(one: Standing) -> str:
    """`2.10 [1.0, 3.0]`."""
    if one.rank is None:
        return DASH
    low, high = one.low, one.high
    return f"{one.rank:.2f}" + (f" [{low:.1f}, {high:.1f}]" if low is not None and high is not None else "")


def area_text(found: Estimate | None, at_threshold: bool = False) -> str:
    """`83.1 [79.0, 86.2]`, in percent, with a * where intervals are about a very threshold."""
    if found is None:
        return DASH
    mark = "*" if at_threshold else ""
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]{mark}"


def _blocks(found: Mapping[tuple[str, str], Sequence[Area]]) -> list[tuple[tuple[str, str], list[Area]]]:
    """Areas of one kind of attack together, of the detector with the best worst target first."""
    blocks: dict[tuple[str, tuple[str, str]], list[Area]] = {}
    for names, areas in found.items():
        for area in areas:
            blocks.setdefault((area.kind, names), []).append(area)
    order = sorted(blocks, key=lambda block: (block[0], -blocks[block][0].over_strength.value, block[1]))
    return [(names, blocks[kind, names]) for kind, names in order]


def _names(key: Key) -> list[str]:
    detector, parameters, _, score, encoder, precision = key
    return [label_of(detector, score, parameters), encoder_of(encoder, precision)]


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}"


def _numbers(prefix: str, found: Estimate | None) -> dict[str, float | None]:
    values = (None, None, None) if found is None else (found.value, found.low, found.high)
    return dict(zip((f"{prefix}area", f"{prefix}low", f"{prefix}high"), values, strict=True))
