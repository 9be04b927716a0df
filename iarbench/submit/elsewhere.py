"""Rows of a run that are on the board already: with equal scores, and numbers equal but for rounding, they are counted
where they stand.

A run has more cells than those that are new: an attack suite brings `none` along, whose scores its transferred
thresholds need. So the file of a submission's scores holds all of its run, and its record says which of the rows that
follow from them stand in another submission. Whoever verifies it recomputes all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from iarbench.errors import UserError
from iarbench.submit.board import Board, Cell, Elsewhere, Submission, about
from iarbench.submit.rounding import same
from iarbench.submit.score_file import NAMED, read_index, read_scores

OF_ITS_RUN = ("seconds_per_image", "iarbench_version", "submission", "source")
"""What may differ between two runs that give the same row."""


def divide(
    board: Board, submission: Submission, rows: Sequence[Any], scores: pd.DataFrame, leaving: Sequence[str] = ()
) -> tuple[list[Any], tuple[Elsewhere, ...]]:
    """The rows of a new submission that the board lacks, and where the others are.

    Args:
        scores: the new submission's, as `read_scores` returns them.
        leaving: submissions that it takes the place of.

    Raises:
        UserError: a row is there with other numbers, or from other scores, or nothing is new.
    """
    record = submission.task
    # Rows of no submission are left over from one that was killed while it was written, and do not count.
    others = {name: board.read(name) for name in board.names() if name not in leaving}
    stored = [row for row in board.rows(record.name, record.effective.kind) if row.submission in others]
    there = {(_identity(row), _code(row, others[row.submission])): row for row in stored}
    own = {(_identity(row), _code(row, submission)) for row in rows}

    def way_out(name: str) -> str:
        lost = sum(row.submission == name and what not in own for what, row in there.items())
        told = f", which drops the {lost} rows of it that this run lacks" if lost else ""
        return f"leave that out of the run, or give --replace {name} to put this run in its place{told}"

    new: list[Any] = []
    known: dict[str, list[Any]] = {}
    for row in rows:
        other = there.get((_identity(row), _code(row, submission)))
        if other is None:
            new.append(row)
        elif line := _difference(row, other):
            raise UserError(f"{board.root} has other numbers: {line}; {way_out(other.submission)}")
        else:
            known.setdefault(other.submission, []).append(row)
    elsewhere = tuple(
        Elsewhere(submission=name, rows=len(some), cells=tuple(dict.fromkeys(map(Cell.of, some))))
        for name, some in known.items()
    )
    for one in elsewhere:
        for line in _unequal_scores(board, one, scores):
            raise UserError(f"{board.root} has other scores: {line}; {way_out(one.submission)}")
    if not new:
        raise UserError(f"{board.root} has every row of this run already, in {', '.join(known)}")
    return new, elsewhere


def differences(board: Board, submission: Submission, rows: Sequence[Any], scores: pd.DataFrame) -> Iterator[str]:
    """What is not where the record of a submission says, a line each; `rows`: those of its scores that it does not have
    itself, of cells that it names.
    """
    lacking = {_identity(row): row for row in rows}
    own_code = {None, *(source.content for source in submission.sources)}
    for one in submission.elsewhere:
        if one.submission not in board.names():
            yield f"counts on {one.submission} for {one.rows} rows, which is not on the board"
            return
        other, cells = board.read(one.submission), set(one.cells)
        theirs = {_identity(row): row for row in board.rows_of(other) if _code(row, other) in own_code}
        found = [name for name, row in lacking.items() if name in theirs and Cell.of(row) in cells]
        if len(found) != one.rows:
            yield f"counts on {one.submission} for {one.rows} rows, which has {len(found)} of them"
        for name in found:
            if line := _difference(lacking.pop(name), theirs[name]):
                yield f"counts on {one.submission}, which has other numbers: {line}"
        for line in _unequal_scores(board, one, scores):
            yield f"counts on {one.submission}, which has other scores: {line}"
    for row in lacking.values():
        yield f"{about(row)} is neither here nor in a submission that it counts on"


def counting_on(board: Board, names: Iterable[str]) -> dict[str, str]:
    """Submissions that count on one of these and are not among them -> on which."""
    leaving = set(names)
    found = {}
    for name in board.names():
        for one in board.read(name).elsewhere if name not in leaving else ():
            if one.submission in leaving:
                found[name] = one.submission
    return found


def _identity(row: Any) -> tuple[object, ...]:
    names = ("task_version", "metric_version", "detector_version", "precision", "images_fingerprint", "attacked")
    return (about(row), *(getattr(row, name, None) for name in names))


def _code(row: Any, submission: Submission) -> str | None:
    """The same for the same code, of which each submission has a copy; None for detectors of iarbench."""
    contents = {source.where(submission.id): source.content for source in submission.sources}
    return contents.get(row.source, row.source)


def _difference(row: Any, other: Any) -> str | None:
    """The first number in which two rows about the same differ; `other`: the one on the board."""
    for field, value in row:
        given = getattr(other, field)
        if field not in OF_ITS_RUN and not same(given, value):
            return f"{about(row)}: {field} is {given} in {other.submission}, {value} here"
    return None


def _unequal_scores(board: Board, one: Elsewhere, scores: pd.DataFrame) -> Iterator[str]:
    """The first image of each cell whose score is another one there."""
    submission = board.read(one.submission)
    theirs = read_scores(board.scores_file(one.submission), read_index(board.images_file(submission.images)))
    ours, theirs = (_of_cells(frame, one.cells) for frame in (scores, theirs))
    key = ["image_id", "sha256", *NAMED]
    both = ours.merge(theirs[[*key, "score"]], on=key, suffixes=("", "_there"))
    same = (both["score"] == both["score_there"]) | (both["score"].isna() & both["score_there"].isna())
    names = ["detector", "score_name", "parameters", "encoder", "target", "attack"]
    for row in both[~same].drop_duplicates(names).itertuples():
        told = " ".join(dict.fromkeys(filter(None, (getattr(row, name) for name in names))))
        yield f"{told}: image {row.image_id} scores {row.score_there} in {one.submission}, {row.score} here"


def _of_cells(scores: pd.DataFrame, cells: Iterable[Cell]) -> pd.DataFrame:
    names = ["detector", "parameters", "encoder", "attack"]
    wanted = {(tuple(getattr(cell, name) for name in names), cell.target) for cell in cells}
    groups = [
        part
        for (*cell, target), part in scores.groupby([*names, "target"], sort=False)
        if (tuple(cell), target) in wanted or (tuple(cell), None) in wanted
    ]
    return pd.concat(groups) if groups else scores.iloc[:0]
