"""Writes the tables of stored rows into docs/baselines.md: all of `mini-iterative`; AEDR and `likelihood` on `mini`.

python tools/baselines_page.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from marked_part import MarkedPart

from iarbench.results.rows import AUROC, CLEAN, COMPETITOR, POOLED, TPR, Row, main_scores, read_rows
from iarbench.text_table import markdown_table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "baselines.md"
ITERATIVE, AEDR, LIKELIHOOD, ORACLE = (MarkedPart(PAGE, name) for name in ("iterative", "aedr", "likelihood", "oracle"))


def stored(task: str) -> list[Row]:
    """The rows of a task."""
    return read_rows(ROOT / "leaderboard" / "rows" / f"{task}.jsonl")


def aedr() -> str:
    """AEDR as published, with the original encoders, on all of `mini`."""
    return detectors(
        [row for row in stored("mini") if row.detector in ("aedr", "aedr-plain") and row.encoder == "original"]
    )


def detectors(rows: Sequence[Row]) -> str:
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
    return markdown_table(head, [cells for _, cells in lines], len(head))


def pooled(row: Row) -> bool:
    """Whether it is about clean images against all others at once."""
    return row.attack == CLEAN and row.nonmember_set == POOLED


def line(by_target: dict[str, list[Row]], targets: Sequence[str]) -> tuple[tuple[float, float], list[str]]:
    """Means of TPR and AUROC, and the cells: TPR in % [its interval], AUROC."""
    rates, areas, cells = [], [], []
    for target in targets:
        rate, area = sorted(by_target[target], key=lambda row: (TPR, AUROC).index(row.metric))
        assert rate.value is not None
        assert rate.low is not None
        assert rate.high is not None
        assert area.value is not None
        rates.append(rate.value)
        areas.append(area.value)
        cells.append(f"{100 * rate.value:.0f} [{100 * rate.low:.0f}, {100 * rate.high:.0f}], {area.value:.3f}")
    name = ":".join(filter(None, (rate.detector, rate.parameters)))
    return (mean(rates), mean(areas)), [f"`{name}`", *cells, f"{100 * mean(rates):.0f}, {mean(areas):.3f}"]


def likelihood(rows: Sequence[Row], detector: str = "likelihood") -> str:
    """Clean images, a line a target and set of non-members (all pooled, photographs, a sibling): AUROC and TPR at 1 and
    5 % FPR of the learned score and the log-ratio."""
    found: dict[tuple[str, str], dict[tuple[str, float | None], str]] = {}
    for row in rows:
        named = row.detector == detector and row.attack == CLEAN and row.threshold_kind in ("matched", None)
        if named and row.value is not None and row.low is not None and row.high is not None:
            times, digits = (1, 3) if row.metric == AUROC else (100, 0)
            value, low, high = (f"{times * number:.{digits}f}" for number in (row.value, row.low, row.high))
            cell = found.setdefault((row.target, row.nonmember_set), {})
            cell[row.score_name, row.fpr_nominal] = f"{value} [{low}, {high}]"
    wanted = [(score, rate) for score in (detector, "log-ratio") for rate in (None, 0.01, 0.05)]
    against = [POOLED, "flickr", *sorted({target for target, _ in found})]  # a target: a sibling, with its tokenizer
    order = sorted((key for key in found if key[1] in against), key=lambda key: (key[0], against.index(key[1])))
    lines = [[*key, *(found[key].get(one, "–") for one in wanted)] for key in order if (detector, 0.01) in found[key]]
    head = ["target", "against"]
    head += [f"{score}: {'AUROC' if rate is None else f'TPR at {rate:.0%}'}" for score, rate in wanted]
    return markdown_table(head, lines, len(head))


if __name__ == "__main__":
    ITERATIVE.write(detectors(stored("mini-iterative")))
    AEDR.write(aedr())
    LIKELIHOOD.write(likelihood(stored("mini")))
    ORACLE.write(likelihood(stored("mini"), "likelihood-oracle"))
