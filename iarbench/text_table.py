"""Cells as text: columns aligned for a terminal or a pipe, and Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line per row, columns padded with two spaces between."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]], texts: int) -> str:
    """A Markdown table whose first ``texts`` columns are on the left; the others, numbers, on the right."""
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))
