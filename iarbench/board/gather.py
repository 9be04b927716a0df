"""Rows for the board: the stored ones, files of rows, and runs, whose rows are recomputed from their scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.errors import UserError
from iarbench.results.attribution.rows import AttributionRow
from iarbench.results.rows import Row, read_rows

if TYPE_CHECKING:
    from iarbench.results.compute import Cell
    from iarbench.submit.board import Board

AnyRow = Row | AttributionRow


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that came from one place."""

    rows: tuple[AnyRow, ...]
    own: bool = False
    """whether the user gave them, in place of those that iarbench brings along"""
    limit: int | None = None
    """of the run: at most so many images of each source and split; None also where that is not known"""
    command: str | None = None
    """that computes them again whatever their detector is, where one is known"""
    cells: Callable[[], list[Cell]] | None = field(default=None, repr=False, compare=False)
    """gives the main scores that the rows are recomputed from, where they are at hand"""


def stored() -> list[Batch]:
    """What iarbench brings along."""
    from iarbench.submit.board import Board

    return of_board(Board.packaged())


def of_board(board: Board) -> list[Batch]:
    """A batch per submission, in the order of the stored rows. Raises UserError where a file is damaged."""
    batches = []
    for path in sorted((board.root / "rows").glob("*.jsonl")):
        found: dict[str | None, list[AnyRow]] = {}
        for row in _read(path):
            found.setdefault(row.submission, []).append(row)
        batches += [_of_submission(board, name, rows) for name, rows in found.items()]
    return batches


def _of_submission(board: Board, name: str | None, rows: list[AnyRow]) -> Batch:
    if name is None or not board.submission_file(name).is_file():  # an installed package has the rows alone
        return Batch(tuple(rows))
    submission = board.read(name)
    return Batch(
        tuple(rows), limit=submission.limit, command=f"iarbench verify {name} --rerun", cells=_cells(name, board)
    )


def from_files(paths: Iterable[Path], own: bool = False) -> list[Batch]:
    """A batch per file of rows, such as the results.jsonl of a run. Raises UserError naming the line that is no row."""
    return [Batch(tuple(_read(path)), own) for path in sorted(paths)]


def from_runs(folders: Sequence[Path]) -> list[Batch]:
    """A batch per folder of `iarbench run`. Raises UserError where there is no finished run, or a damaged one."""
    return [_from_run(folder) for folder in folders]


def _from_run(folder: Path) -> Batch:
    from iarbench.harness import manifest
    from iarbench.harness.run import recompute

    outcome = recompute(folder)
    found = manifest.read(folder)
    if found is None:
        raise UserError(f"{folder}: no run here; give a folder that `iarbench run` wrote")
    return Batch(tuple(outcome.rows), True, found.images.limit, found.runs[-1].command, _cells(str(folder)))


def _cells(where: str, board: Board | None = None) -> Callable[[], list[Cell]]:
    def read() -> list[Cell]:
        from iarbench.results.sides import every_side
        from iarbench.submit.board import Board

        return every_side(where, board or Board.packaged())

    return read


def _read(path: Path) -> list[Row] | list[AttributionRow]:
    return read_rows(path, AttributionRow) if _is_attribution(path) else read_rows(path)


def _is_attribution(path: Path) -> bool:
    """What its first line says; whatever is wrong with it is said where the rows are read."""
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(file.readline() or "{}")
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and first.get("kind") == "attribution"
