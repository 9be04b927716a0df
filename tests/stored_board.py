"""Rows of the stored board, by what was run."""

from __future__ import annotations

from pathlib import Path

from iarbench.results.rows import Row, read_rows

ROWS = Path(__file__).parents[1] / "leaderboard" / "rows"
FOUR = ("quantloss", "encloss", "combined", "reconstruction")
FOUR_ATTACKS = ("none", "jpeg50", "crop0.8", "noise0.05")
STRENGTHS = ("jpeg90", "jpeg70", "jpeg30", "jpeg10", "noise0.1", "noise0.2")


def of_mini(
    detectors: tuple[str, ...] = FOUR, encoder: str = "inverse", attacks: tuple[str, ...] = FOUR_ATTACKS
) -> list[Row]:
    """Those of the task mini by these detectors with one encoder under these attacks."""
    return [
        row
        for row in read_rows(ROWS / "mini.jsonl")
        if row.detector in detectors and row.encoder == encoder and row.attack in attacks
    ]


def of_demo() -> list[Row]:
    """What `make demo` computes."""
    return of_mini(("quantloss",), attacks=("none", "jpeg50"))
