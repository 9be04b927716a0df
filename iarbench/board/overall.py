"""What a group says over all its attacks: mean ranks, and areas under the curves over an attack's strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iarbench.board.standings import Standings
from iarbench.results.areas import Area
from iarbench.results.curves import distances
from iarbench.results.ranks import Standing
from iarbench.results.rows import AUROC, Key
from iarbench.results.standing_tables import DASH, area_text, rank_text

EMPTY: list[Any] = [DASH, None, None, None]


def overall_data(standings: Standings, spots: Mapping[Key, int]) -> dict[str, Any]:
    """`swept`: kinds of attack at several strengths; `overall`: by "set/rate" [entry, mean rank and mean value
    over all attacks and targets, for each kind the worst area, its target, the mean area], the best rank first."""
    group = standings.group
    swept = [kind for kind, away in distances(group.attacks).items() if len(set(away.values())) > 1]
    return {
        "swept": swept,
        "overall": {
            f"{s}/{r}": [
                [
                    spots[key],
                    rank_cell(one),
                    mean_of(one.tpr, group.metric),
                    _areas(standings.areas(key, name, rate), swept),
                ]
                for key, one in standings.overall(name, rate).items()
            ]
            for s, name in enumerate(group.sets)
            for r, rate in enumerate(group.rates or (None,))
        },
    }


def mean_of(value: float | None, metric: str) -> list[Any]:
    """A mean of fractions as a cell: TPR as percent, AUROC as it is; the number in percent."""
    text = DASH if value is None else f"{value:.3f}" if metric == AUROC else f"{100 * value:.1f}"
    return [text, None if value is None else round(100 * value, 4), None, None]


def rank_cell(one: Standing | None) -> list[Any]:
    """A mean rank as a cell of the page; without ends for its tint, which is for percentages."""
    if one is None or one.rank is None:
        return EMPTY
    return [rank_text(one), round(one.rank, 4), None, None]


def _areas(found: Sequence[Area], swept: Sequence[str]) -> list[Any]:
    by_kind = {kind: [area for area in found if area.kind == kind] for kind in swept}
    return [
        [_cell(mine[0]), mine[0].target, _cell(mine[-1]) if mine[-1].target is None else EMPTY]
        if mine
        else [EMPTY, None, EMPTY]
        for mine in by_kind.values()
    ]


def _cell(area: Area) -> list[Any]:
    found = area.over_strength
    return [area_text(found, area.at_threshold), *(round(100 * x, 4) for x in (found.value, found.low, found.high))]
