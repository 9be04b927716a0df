"""Who is better over all tasks, attacks and targets: mean ranks with what the images leave open about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from iarbench.results.detections import Detection, Detections, Place
from iarbench.results.rows import Key, clean_first
from iarbench.stats.mean_ranks import mean_ranks, rank_intervals

NOT_ALL = "has no number for every target under every attack that most detectors have"


@dataclass(frozen=True, slots=True)
class Standing:
    """The mean rank of one competitor, 1 = best in every cell; None where it has none."""

    rank: float | None
    low: float | None = None
    """lowest mean rank that the images do not rule out (`stats.mean_ranks`); None where resamples are lacking"""
    high: float | None = None
    tpr: float | None = None
    """mean TPR over the cells"""
    reason: str | None = None
    """why there is no rank, or no interval"""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Competitors by mean rank, the best first, then those without one; the cells that it is over."""

    standings: dict[Key, Standing]
    places: tuple[Place, ...]


def ranking(found: Detections) -> Ranking:
    """Rank all competitors over all cells.

    A task under an attack counts where more than half of the competitors have numbers for all its targets. Who lacks
    one of these, or stands on other images than most, has no rank.
    """
    keys = sorted({key for key, _ in found})
    attacks: dict[str, set[str]] = {}
    targets: dict[str, set[str]] = {}
    for _, (task, attack, target) in found:
        attacks.setdefault(task, set()).add(attack)
        targets.setdefault(task, set()).add(target)
    sweeps = [(task, attack) for task in sorted(attacks) for attack in clean_first(attacks[task])]
    whole = {
        sweep: {key for key in keys if all((key, (*sweep, target)) in found for target in targets[sweep[0]])}
        for sweep in sweeps
    }
    counted = [sweep for sweep in sweeps if 2 * len(whole[sweep]) > len(keys)]
    places = tuple((*sweep, target) for sweep in counted for target in sorted(targets[sweep[0]]))
    complete = [key for key in keys if counted and all(key in whole[sweep] for sweep in counted)]
    usual = {place: _usual([found[key, place] for key in complete]) for place in places}
    same = [key for key in complete if all(found[key, place].fingerprint == usual[place] for place in places)]
    ranked = rank_complete(found, same, places)
    others = {key: Standing(None, reason="stands on other images" if key in complete else NOT_ALL) for key in keys}
    order = sorted(keys, key=lambda key: (key not in ranked, ranked[key].rank or 0.0 if key in ranked else 0.0, key))
    return Ranking({key: ranked.get(key, others[key]) for key in order}, places)


def rank_complete(
    found: Mapping[tuple[Key, Place], Detection], keys: Sequence[Key], places: Sequence[Place]
) -> dict[Key, Standing]:
    """The standings of competitors that have a number in every one of the cells, on the same images."""
    if not keys or not places:
        return {}
    values = np.array([[found[key, place].value for place in places] for key in keys])
    ranks, means = mean_ranks(values), values.mean(axis=1)
    every = [found[key, place] for key in keys for place in places]
    if reason := next((one.reason or "no scores" for one in every if one.draws is None), None):
        why = f"no interval: {reason}"
        return {key: Standing(float(ranks[n]), tpr=float(means[n]), reason=why) for n, key in enumerate(keys)}
    draws = np.array([[found[key, place].draws for place in places] for key in keys]).transpose(2, 0, 1)
    least = 1 / np.array([found[keys[0], place].images for place in places])
    low, high = rank_intervals(values, draws, least)
    return {
        key: Standing(float(ranks[n]), float(low[n]), float(high[n]), float(means[n])) for n, key in enumerate(keys)
    }


def _usual(found: Sequence[Detection]) -> str:
    """The images that most of them stand on."""
    votes = Counter(one.fingerprint for one in found)
    return max(sorted(votes), key=votes.__getitem__) if votes else ""
