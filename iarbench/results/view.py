"""What of the rows of a run is shown: its lines, chosen, gathered and sorted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from iarbench.device import PRECISIONS
from iarbench.errors import UserError
from iarbench.results.rows import AUROC, CLEAN, POOLED, TPR, Row, main_scores

BEST_FIRST = ("inverse", "original")
"""Encoders by what is known to work best; the first that a detector was run with is shown."""


@dataclass(frozen=True, slots=True)
class View:
    """What to show: by default the main score of each detector, with the best encoder, against `pooled`."""

    fpr: float | None = None
    """nominal rate, as a fraction; None: 1 %, or the smallest rate that has numbers where 1 % has none"""
    all_scores: bool = False
    all_encoders: bool = False
    all_sets: bool = False
    """every non-member set by itself too"""
    details: bool = False
    """every threshold, the achieved FPR, AUROC and time, also of several detectors"""

    threshold: str = "matched"
    """kind of the threshold, of `THRESHOLDS`, whose TPR stands with its interval"""

    @property
    def short(self) -> bool:
        """Whether one number per detector is enough."""
        return not (self.all_scores or self.all_encoders or self.all_sets or self.details)


@dataclass(frozen=True, slots=True)
class Line:
    """One score of a detector with one encoder under one attack against one set; a row is None when not computed."""

    target: str
    detector: str
    encoder: str
    attack: str
    nonmember_set: str
    matched: Row | None
    transfer: Row | None
    oracle: Row | None
    guaranteed: Row | None
    auroc: Row | None
    threshold: str = "matched"
    """kind that a table is about"""

    @property
    def rows(self) -> list[Row]:
        """The rows that a table shows numbers of."""
        shown = (self.chosen, self.matched, self.transfer, self.oracle, self.auroc)
        return list({id(row): row for row in shown if row}.values())

    @property
    def chosen(self) -> Row | None:
        """The row of the kind of threshold that a table is about."""
        return self.tpr(self.threshold)

    def tpr(self, kind: str) -> Row | None:
        """The row of a kind of threshold."""
        return {
            "matched": self.matched, "transfer": self.transfer, "oracle": self.oracle, "guaranteed": self.guaranteed
        }[kind]  # fmt: skip

    @property
    def psnr(self) -> float | None:
        """What the attack left of the images, in dB; None for clean ones."""
        return self.rows[0].psnr

    def main(self, metric: str) -> Row | None:
        """The row of a metric, at the chosen threshold where it has one."""
        return self.auroc if metric == AUROC else self.chosen


def lines_of(rows: Sequence[Row], view: View | None = None) -> list[Line]:
    """The lines to show, targets in their order, the best detector first. Raises UserError for no rows."""
    view = view or View()
    rate = chosen_fpr(rows, view.fpr)
    kept = [row for row in chosen(rows, view) if row.metric == AUROC or row.fpr_nominal == rate]
    lines: dict[tuple[str, str, str, str, str], dict[str, Row]] = {}
    for row in kept:
        key = (row.target, detector_label(row), encoder_label(row), row.attack, row.nonmember_set)
        lines.setdefault(key, {})[row.threshold_kind or AUROC] = row
    found = [
        Line(
            *key, kinds.get("matched"), kinds.get("transfer"), kinds.get("oracle"), kinds.get("guaranteed"),
            kinds.get(AUROC), view.threshold,
        )
        for key, kinds in lines.items()
    ]  # fmt: skip
    targets = list(dict.fromkeys(line.target for line in found))
    sets = list(dict.fromkeys(row.nonmember_set for row in rows))
    rank = _ranks(rows, rate)
    return sorted(
        found,
        key=lambda x: (
            targets.index(x.target), sets.index(x.nonmember_set), rank[_made_by(x.rows[0])], x.detector, x.encoder,
            x.attack != CLEAN, x.attack,
        ),
    )  # fmt: skip


def primary_metric(rows: Iterable[Row]) -> str:
    """The metric that the task of these rows compares detectors by."""
    return next((row.metric for row in rows if row.primary), TPR)


def chosen_fpr(rows: Sequence[Row], fpr: float | None) -> float | None:
    """The nominal rate to show: `fpr`, which must have rows; else as `View.fpr` says; None where there is no TPR."""
    if not rows:
        raise UserError("there are no results to show: the run holds no finished cell")
    rates = sorted({row.fpr_nominal for row in rows if row.fpr_nominal is not None})
    if fpr is None:
        shown = [row for row in rows if row.nonmember_set == POOLED] or rows
        usable = {row.fpr_nominal for row in shown if row.threshold_kind == "matched" and row.value is not None}
        best = [0.01, *(rate for rate in rates if rate in usable), *rates]
        return next((rate for rate in best if rate in usable), next((rate for rate in best if rate in rates), None))
    if fpr not in rates:
        raise UserError(f"no results at FPR {fpr:g}; there are: {', '.join(f'{rate:g}' for rate in rates) or 'none'}")
    return fpr


def detector_label(row: Row) -> str:
    """`quantloss`, `detector:score` where one detector gives a score of another name; then the parameters, if any."""
    return label_of(row.detector, row.score_name, row.parameters)


def label_of(detector: str, score_name: str, parameters: str) -> str:
    """`detector_label` of these three."""
    name = detector if score_name == detector else f"{detector}:{score_name}"
    return f"{name} {parameters}".rstrip()


def encoder_label(row: Row) -> str:
    """`inverse`, with the precision where it is not the usual one: `inverse bfloat16`."""
    return encoder_of(row.encoder, row.precision)


def encoder_of(encoder: str, precision: str) -> str:
    """`encoder_label` of these two."""
    return encoder if precision == PRECISIONS[0] else f"{encoder} {precision}"


def encoder_order(encoder: str) -> int:
    """Sort key of encoders, the one that is known to work best first; those that nothing is known of are equal."""
    return (*BEST_FIRST, encoder).index(encoder)


def _made_by(row: Row) -> tuple[str, str]:
    return row.detector, row.parameters


def chosen(rows: Sequence[Row], view: View) -> list[Row]:
    """The rows that a view is about, at all rates: of the scores, encoders and sets that it shows."""
    main = main_scores(rows)
    pooled = {row.target for row in rows if row.nonmember_set == POOLED}
    encoders: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        encoders.setdefault((row.target, *_made_by(row), row.precision), []).append(row.encoder)
    best = {key: min(names, key=encoder_order) for key, names in encoders.items()}

    def wanted(row: Row) -> bool:
        return (
            (view.all_scores or not main or (*_made_by(row), row.score_name) in main)
            and (view.all_encoders or row.encoder == best[row.target, *_made_by(row), row.precision])
            and (view.all_sets or row.nonmember_set == POOLED or row.target not in pooled)
        )

    return [row for row in rows if wanted(row)]


def _ranks(rows: Sequence[Row], rate: float | None) -> dict[tuple[str, str], tuple[float, str, str]]:
    """Detector and parameters -> sort key: the mean of its primary metric on clean images, the highest first."""
    metric = primary_metric(rows)
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        found = values.setdefault(_made_by(row), [])
        compared = row.metric == metric and row.threshold_kind in (None, "matched") and row.attack == CLEAN
        if compared and row.fpr_nominal in (None, rate) and row.nonmember_set == POOLED and row.value is not None:
            found.append(row.value)
    return {made_by: (-fmean(found) if found else 0.0, *made_by) for made_by, found in values.items()}
