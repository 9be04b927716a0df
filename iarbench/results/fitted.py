"""Tables for a terminal that fit its width: columns are left out, or rows stacked, and no word is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from iarbench.text_table import kept_columns, stacked, with_short_commits

GAP, EDGE = 2, 1
"""What rich adds to every column, and once."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells with a header; the first `texts` columns are text, the others numbers."""

    header: Sequence[str]
    body: Sequence[Sequence[str]]
    texts: int
    drop: Sequence[int] = ()
    """Columns that may be left out where there is no room, the first one first."""
    strong: int | None = None
    """The column in bold."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The first of some tables that fits the terminal; the last is made to fit. Commits of the Hub are shortened."""

    grids: Sequence[Grid]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        width = options.max_width
        grids = [_short(grid) for grid in self.grids]
        for grid in grids:
            cells = [grid.header, *grid.body]
            last = grid is grids[-1]
            kept = kept_columns(cells, width - EDGE, grid.drop if last else (), GAP)
            if kept is not None:
                yield _table(grid, kept)
                if left_out := [name for place, name in enumerate(grid.header) if place not in kept]:
                    yield Text(f"No room for: {', '.join(left_out)}.", style="dim")
                return
        yield from (Text(line) for line in stacked([grids[-1].header, *grids[-1].body], width))


def _short(grid: Grid) -> Grid:
    header, *body = [[with_short_commits(cell) for cell in row] for row in (grid.header, *grid.body)]
    return replace(grid, header=header, body=body)


def _table(grid: Grid, kept: Sequence[int]) -> Table:
    """Of the columns of text all but the last are left out where they repeat the row above."""
    table = Table(box=SIMPLE_HEAD)
    table.padding = (0, 1, 0, 0)
    for place in kept:
        table.add_column(grid.header[place], justify="right" if place >= grid.texts else "left", no_wrap=True)
    texts = [place for place in kept if place < grid.texts]
    above: list[str] = []
    for row in grid.body:
        words = [row[place] for place in texts]
        same = 0
        while same < len(texts) - 1 and words[: same + 1] == above[: same + 1]:
            same += 1
        above = words
        shown = {place: "" if number < same else row[place] for number, place in enumerate(texts)}
        cells = [shown.get(place, row[place]) for place in kept]
        table.add_row(*(Text(c, style="bold") if p == grid.strong else c for c, p in zip(cells, kept, strict=True)))
    return table
