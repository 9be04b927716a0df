"""Writes the table of the stored rows of `mini-iterative` into docs/baselines.md.

python tools/iterative_page.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from marked_part import MarkedPart

from iarbench.results.rows import AUROC, CLEAN, COMPETITOR, POOLED, TPR, Row, main_scores, read_rows

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "leaderboard" / "rows" / "mini-iterative.jsonl"
PART = MarkedPart(ROOT / "docs" / "baselines.md", "iterative")


def table(rows: Sequence[Row]) -> str:
    """Main scores of clean images against all pooled, a line each, the highest mean TPR first."""
    main = main_scores(rows)
    found: dict[tuple[object, ...], dict[str, list[Row]]] = {}
    for row in rows:
        shown = row.metric == AUROC or row.primary
        if shown and (row.detector, row.parameters, row.score_name) in main and pooled(row):
            key = tuple(getattr(row, name) for name in COMPETITOR)
            found.setdefault(key, {}).setdefault(row.target, []).append(row)
    targets = sorted({target for each in found.values() for target in each})
    lines = sorted((line(each, targets) for each in found.values()), key=lambda one: one[0], reverse=True)
    head = ["detector", *targets, "mean"]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *(cells for _, cells in lines)])


def pooled(row: Row) -> bool:
    """Whether it is about clean images against all others at once."""
    return row.attack == CLEAN and row.nonmember_set == POOLED


def line(by_target: dict[str, list[Row]], targets: Sequence[str]) -> tuple[tuple[float, float], list[str]]:
    """Means of TPR and AUROC, and the cells: TPR in % [its interval], AUROC."""
    rates, areas, cells = [], [], []
    for target in targets:
        rate, area = sorted(by_target[target], key=lambda row: (TPR, AUROC).index(row.metric))
        assert rate.value is not None and rate.low is not None and rate.high is not None and area.value is not None
        rates.append(rate.value)
        areas.append(area.value)
        cells.append(f"{100 * rate.value:.0f} [{100 * rate.low:.0f}, {100 * rate.high:.0f}], {area.value:.3f}")
    name = ":".join(filter(None, (rate.detector, rate.parameters)))
    return (mean(rates), mean(areas)), [f"`{name}`", *cells, f"{100 * mean(rates):.0f}, {mean(areas):.3f}"]


if __name__ == "__main__":
    PART.write(table(read_rows(ROWS)))
