"""Whether what a board or a run says follows from what it stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from iarbench import content
from iarbench.errors import UserError
from iarbench.results import seal
from iarbench.results.kinds import KINDS
from iarbench.results.rows import read_rows
from iarbench.results.scores import load_index
from iarbench.submit.board import Board, Cell, Submission, about, rows_digest
from iarbench.submit.check_run import check_task, finished, incomplete
from iarbench.submit.elsewhere import differences
from iarbench.submit.keep import kept
from iarbench.submit.rounding import same
from iarbench.submit.score_file import read_index, read_scores
from iarbench.task import Task


def verify_submission(board: Board, name: str) -> Iterator[str]:
    """What differs, a line each; none when its rows are what its stored scores give.

    Files are held against the digests in the submission's record, the record against its own, every row against the
    same row computed anew (those that it counts on in another submission too) but for rounding, the stored rows to the
    last bit against the record, the images against the image set where that is at hand.
    """
    try:
        submission = board.read(name)
        check_task(submission.task)
    except UserError as error:
        yield str(error)
        return
    index_file, scores_file = board.images_file(submission.images), board.scores_file(name)
    changed = False
    for path, written in ((index_file, submission.images), (scores_file, submission.scores), *_code(board, submission)):
        found = seal.digest(path)
        if found != written:
            changed = True
            yield f"{path} is {'not there' if found is None else 'not as it was submitted'}"
    if changed and not (index_file.is_file() and scores_file.is_file()):
        return
    try:
        index = read_index(index_file)
        scores = read_scores(scores_file, index)
        stored = board.rows_of(submission)
        yield from _rows(board, submission, scores, index, stored)
        yield from _images(submission.image_set, index)
    except (UserError, OSError, ValueError) as error:
        yield str(error)


def verify_run(root: Path) -> Iterator[str]:
    """What of a run's folder is not as it was written, or does not follow from its scores, a line each."""
    try:
        manifest = finished(root)
        check_task(manifest.task)
        task = Task.restore(manifest.task)
        kind = KINDS[task.spec.kind]
        rows = kind.compute_stored(root, seal.parts_of(root), task)
        yield from _compare(rows, read_rows(root / "results.jsonl", kind.row()), str(root / "results.jsonl"))
        yield from _images(manifest.images.set, load_index(root))
    except UserError as error:
        yield str(error)


def orphans(board: Board) -> Iterator[str]:
    """Rows that belong to no submission, and files that none names, a line each."""
    names = set(board.names())
    for path in sorted((board.root / "rows").glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip() and not any(f'"submission":"{name}"' in line for name in names):
                yield f"{path}:{number} belongs to no submission"
    for path in sorted((board.root / "scores").glob("*.parquet")):
        if path.stem not in names:
            yield f"{path} belongs to no submission"


def _code(board: Board, submission: Submission) -> list[tuple[Path, str]]:
    folder = board.sources(submission.id)
    return [(folder / name, digest) for source in submission.sources for name, digest in source.files.items()]


def _rows(
    board: Board, submission: Submission, scores: pd.DataFrame, index: pd.DataFrame, stored: Sequence[Any]
) -> Iterator[str]:
    """Its rows, and those that are in another submission, against the same computed anew."""
    path, task = board.rows_file(submission.task.name), Task.restore(submission.task)
    if lacking := incomplete(scores, task):
        yield f"{board.scores_file(submission.id)}: {lacking}"
    where = {row.detector: row.source for row in stored}
    rows = KINDS[task.spec.kind].compute(scores, index, task)
    rows = kept(rows, task, lambda row: where.get(row.detector), submission.id)
    own, cells = {about(row) for row in stored}, {cell for one in submission.elsewhere for cell in one.cells}
    away = [row for row in rows if about(row) not in own and Cell.of(row) in cells]
    names = {about(row) for row in away}
    found = list(_compare([row for row in rows if about(row) not in names], stored, str(path)))
    yield from found
    if not found and rows_digest(stored) != submission.rows_sha256:
        yield f"{path}: the rows of {submission.id} are not those that were submitted"
    yield from differences(board, submission, away, scores)


def _compare(rows: Sequence[Any], stored: Sequence[Any], where: str) -> Iterator[str]:
    """Rows computed anew against stored ones, by what they are about; numbers but for rounding."""
    fresh = {about(row): row for row in rows}
    old = {about(row): row for row in stored}
    for name in old.keys() - fresh.keys():
        yield f"{where}: {name}: the scores give no such row"
    for name in fresh.keys() - old.keys():
        yield f"{where}: {name} is missing"
    if len(old) != len(stored):
        yield f"{where}: {len(stored) - len(old)} rows are there twice"
    for name in sorted(old.keys() & fresh.keys()):
        for field, value in fresh[name]:
            given = getattr(old[name], field)
            if not same(given, value) and field != "iarbench_version":
                yield f"{where}: {name}: {field} is {given}, recomputed {value}"
                break


def _images(image_set: str, index: pd.DataFrame) -> Iterator[str]:
    """The index against the image set, whose images are hashed, where it is at hand."""
    from iarbench.images.image_set import ImageSet

    if image_set not in content.image_set_names() and not Path(image_set).exists():
        return
    images = ImageSet.open(content.images_path(image_set))
    known = images.index().set_index("image_id")["sha256"]
    for row in index.itertuples():
        if row.image_id not in known.index:
            yield f"{image_set} has no image {row.image_id}"
            return
        if known[row.image_id] != row.sha256:
            yield f"image {row.image_id} of {image_set} is not the one that was scored"
            return
    images.filter(image_id=set(index["image_id"])).require_unchanged()
