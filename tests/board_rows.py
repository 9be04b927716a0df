"""Rows made by hand, and the tables of a page read, for tests of the board."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from iarbench.results.rows import Row

BASE: dict[str, Any] = {
    "task": "toys", "task_version": 1, "detector": "quantloss", "detector_version": 7, "parameters": "",
    "score_name": "quantloss", "encoder": "inverse", "target": "a", "target_weights": "w", "precision": "float32",
    "attack": "none", "attack_version": 1, "attacked": "both", "nonmember_set": "pooled", "pools": ("real", "others"),
    "metric": "tpr_at_fpr", "primary": True, "fpr_nominal": 0.01, "threshold_kind": "matched", "threshold": 0.5,
    "value": 0.5, "low": 0.4, "high": 0.6, "fpr_achieved": 0.01, "fpr_low": 0.0, "fpr_high": 0.02, "n_members": 50,
    "n_nonmembers": 100, "n_calibration": 100, "n_groups": 100, "seconds_per_image": 0.01,
    "iarbench_version": "0.1.0",
}  # fmt: skip


def row(**changes: Any) -> Row:
    """A primary TPR row; its images are those of its task, target and set unless `images_fingerprint` says so."""
    values = BASE | changes
    values.setdefault("images_fingerprint", "/".join(str(values[key]) for key in ("task", "target", "nonmember_set")))
    if "value" in changes and changes["value"] is not None and "low" not in changes:
        values |= {"low": max(0.0, changes["value"] - 0.1), "high": min(1.0, changes["value"] + 0.1)}
    if changes.get("value", 0.0) is None:
        values |= {"low": None, "high": None, "threshold": None, "fpr_achieved": None, "fpr_low": None,
                   "fpr_high": None}  # fmt: skip
    if changes.get("detector") and "score_name" not in changes:
        values["score_name"] = changes["detector"]
    return Row(**values)


def auroc(**changes: Any) -> Row:
    """An AUROC row, not primary."""
    fixed = {"metric": "auroc", "primary": False, "fpr_nominal": None, "threshold_kind": None, "threshold": None,
             "fpr_achieved": None, "fpr_low": None, "fpr_high": None}  # fmt: skip
    return row(**{"value": 0.9, **fixed, **changes})


class Tables(HTMLParser):
    """The rows of every table of a page, as texts, by the table's data-table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self.table: list[list[str]] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.table = self.found.setdefault(dict(attrs).get("data-table") or "", [])
        elif tag == "tr":
            self.table.append([])
        elif tag in ("td", "th"):
            self.table[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.table[-1][-1] += data
