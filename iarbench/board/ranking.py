"""Who is better: entries of a group ranked by their mean over all targets, with the worst target beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from iarbench.board.provenance import Entry, Group, Line


@dataclass(frozen=True, slots=True)
class Place:
    """How one entry does under one attack, against one set, at one nominal rate. Values are in [0, 1], higher
    = better."""

    entry: Entry
    lines: Mapping[str, Line]
    """by target; a target without a row is missing"""
    values: Mapping[str, float]
    """by target; those without a number are missing"""
    rank: int | None
    """from 1, equal means share it; None for an entry that lacks a target, stands on other images, or is not the main
    score of its detector"""
    mean: float | None
    """over all targets of the group; None where one is missing"""
    worst: str | None
    """target with the lowest value, where all have one"""

    def mean_over(self, targets: Sequence[str]) -> float | None:
        """Mean over some targets; None where one of them has no number."""
        found = [self.values[target] for target in targets if target in self.values]
        return fmean(found) if found and len(found) == len(targets) else None


def families(targets: Sequence[str]) -> dict[str, list[str]]:
    """Family -> its targets; a target that no description is known of is a family of its own."""
    from iarbench.models import variants

    known = set(variants.names())
    found: dict[str, list[str]] = {}
    for target in targets:
        found.setdefault(variants.get(target).family if target in known else target, []).append(target)
    return found


def places(group: Group, attack: str, nonmember_set: str, rate: float | None) -> list[Place]:
    """Every entry that has a row there, the best first, then those without a rank by name."""
    found = [_place(group, entry, attack, nonmember_set, rate) for entry in group.entries]
    there = [place for place in found if place.lines]
    means = [place.mean for place in there if place.mean is not None and _is_ranked(place)]
    ranked = [replace(place, rank=_rank(place.mean, means)) if _is_ranked(place) else place for place in there]
    return sorted(ranked, key=lambda place: (place.rank is None, place.rank or 0, -(place.mean or 0), place.entry.key))


def _place(group: Group, entry: Entry, attack: str, nonmember_set: str, rate: float | None) -> Place:
    cells = {target: group.by_cell.get((entry.key, target, attack, nonmember_set, rate)) for target in group.targets}
    lines = {target: line for target, line in cells.items() if line is not None}
    rows = {target: line.shown(group.metric) for target, line in lines.items()}
    values = {target: row.value for target, row in rows.items() if row is not None and row.value is not None}
    complete = len(values) == len(group.targets)
    return Place(
        entry, lines, values, None,
        fmean(values.values()) if complete else None,
        min(values, key=lambda target: values[target]) if complete else None,
    )  # fmt: skip


def _is_ranked(place: Place) -> bool:
    return place.mean is not None and place.entry.main and all(line.comparable for line in place.lines.values())


def _rank(mean: float | None, means: Sequence[float]) -> int:
    return 1 + sum(other > (mean or 0.0) for other in means)
