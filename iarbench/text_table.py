"""Cells as text: columns aligned for a terminal or a pipe, fitted to a width, and Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

_COMMIT = re.compile(r"(hf:[^\s@]+@[0-9a-f]{12})[0-9a-f]{28}(?![0-9a-f])")


def with_short_commits(text: str) -> str:
    """Names of the Hub (`hf:owner/name@commit`) with twelve of the commit's forty digits, for a reader's eyes alone."""
    return _COMMIT.sub(r"\1", text)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line per row, columns padded with two spaces between."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def fitted(rows: Sequence[Sequence[str]], width: int, drop: Sequence[int] = (), wrap: bool = False) -> list[str]:
    """The rows, the first of which is the header, in lines of at most ``width``, no word cut.

    Commits of the Hub are shortened. Where the rows do not fit, the columns ``drop`` are left out, the first one first,
    and named below; where that is not enough, every row is stacked. ``wrap``: the last column may be a paragraph.
    """
    last = PARAGRAPH if wrap else None
    rows = [[with_short_commits(cell) for cell in row] for row in rows]
    kept = kept_columns(rows, width + 2, drop, 2, last)
    if kept is None:
        return stacked(rows, width)
    lines = _in_lines([[row[place] for place in kept] for row in rows], width)
    left_out = [name for place, name in enumerate(rows[0]) if place not in kept]
    return [*lines, *(wrapped(f"(no room for: {', '.join(left_out)})", width, "") if left_out else [])]


PARAGRAPH = 32
"""The least width of a column whose text is wrapped."""


def _in_lines(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligned, with the last column wrapped at ``width``."""
    lines = []
    for row, line in zip(rows, aligned([[*row[:-1], "|"] for row in rows]), strict=True):
        front = line[:-1]
        paragraph = wrapped(row[-1], width - len(front), "") or [""]
        lines += [(front + paragraph[0]).rstrip(), *(" " * len(front) + more for more in paragraph[1:])]
    return lines


def kept_columns(
    rows: Sequence[Sequence[str]], width: int, drop: Sequence[int], gap: int, last: int | None = None
) -> list[int] | None:
    """The columns that fit ``width``, each with a ``gap`` after it, when those of ``drop`` may be left out, and the
    last one made as narrow as ``last``; None: none do.
    """
    widths = [max(len(cell) for cell in column) + gap for column in zip(*rows, strict=True)]
    if last is not None:
        widths[-1] = min(widths[-1], last + gap)
    kept = list(range(len(widths)))
    for place in [*drop, None]:
        if sum(widths[one] for one in kept) <= width:
            return kept
        if place is not None and place in kept:
            kept.remove(place)
    return None


def stacked(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Each row as its first cell and, below it, a paragraph of "header: cell" for the others that say something."""
    header, *body = rows
    lines: list[str] = []
    for first, *rest in body:
        told = [f"{name}: {cell}" for name, cell in zip(header[1:], rest, strict=True) if cell.strip(" –")]
        lines += wrapped(first, width, "")
        lines += wrapped("; ".join(told), width, "    ")
    return lines


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]], texts: int) -> str:
    """A Markdown table whose first ``texts`` columns are on the left; the others, numbers, on the right."""
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """The text in lines of at most ``width``, no word cut."""
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
