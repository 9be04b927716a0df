"""From a run to a submission on a board."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iarbench.errors import UserError
from iarbench.files import copy_atomically, sha256_file
from iarbench.harness.choose import Choice, choose_all
from iarbench.results.kinds import KINDS
from iarbench.results.scores import MEASURES
from iarbench.submit.board import Board, Source, Submission, about, rows_digest
from iarbench.submit.check_run import Checked, check_run
from iarbench.submit.keep import kept
from iarbench.submit.score_file import read_index, read_scores, write_index, write_scores


def submit(
    root: Path, board: Board, *, local: bool = False, repository: str | None = None, replace: str | None = None
) -> Submission:
    """Put a run's rows, scores and code on a board; nothing is written unless all of it is sound.

    Args:
        repository: "https://...@commit" that holds the code of detectors that did not come with iarbench; without it
            their files are copied.
        replace: a submission that this one takes the place of.

    Raises:
        UserError: what `check_run` says, or rows of the same detector are there.
    """
    checked = check_run(root, local)
    name = f"{checked.task.spec.name}-{checked.manifest.sha256[:8]}"
    if name in board.names() and replace != name:
        raise UserError(f"{root} is on {board.root} already, as {name}")
    sources = _sources(checked, repository)
    staged = board.root / f".{name}.tmp"
    try:
        submission, rows = _stage(checked, name, staged, sources)
        _check_new(board, submission, rows, replace)
        _publish(staged, board, submission, rows, replace)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return submission


def remove(board: Board, name: str) -> None:
    """Take a submission off a board. Raises UserError when it is not there."""
    submission = board.read(name)
    record = submission.task
    rest = [row for row in board.rows(record.name, record.effective.kind) if row.submission != name]
    board.write_rows(record.name, rest)
    board.scores_file(name).unlink(missing_ok=True)
    board.submission_file(name).unlink(missing_ok=True)
    shutil.rmtree(board.sources(name), ignore_errors=True)
    if not any(board.read(other).images == submission.images for other in board.names()):
        board.images_file(submission.images).unlink(missing_ok=True)


def _stage(checked: Checked, name: str, staged: Path, sources: dict[str, Source]) -> tuple[Submission, list[Any]]:
    """Everything of the submission in a folder of its own, and its rows, computed from what is stored there."""
    draft, task, kind = Board(staged), checked.task, KINDS[checked.task.spec.kind]
    index_file, scores_file = staged / "index.parquet", draft.scores_file(name)
    write_index(checked.index, index_file)
    index = read_index(index_file)
    write_scores(checked.scores, index, scores_file)
    rows = kind.compute(read_scores(scores_file, index), index, task)
    _check_same(rows, checked.rows)
    keep = kept(rows, task, lambda row: _where(sources.get(row.detector), name), name)
    for source in sources.values():
        _copy(source, checked, draft.sources(name))
    manifest = checked.manifest
    last = manifest.runs[-1]
    submission = Submission(
        id=name, commands=tuple(run.command for run in manifest.runs), iarbench=last.iarbench, git=last.git,
        packages=last.packages, hardware=last.hardware, task=manifest.task, image_set=manifest.images.set,
        images_fingerprint=manifest.images.fingerprint, limit=manifest.images.limit, precision=manifest.precision,
        weights=manifest.weights, notes=manifest.notes, sources=tuple(sources.values()),
        images=sha256_file(index_file), scores=sha256_file(scores_file), rows=len(keep), rows_sha256=rows_digest(keep),
    ).sealed()  # fmt: skip
    return submission, keep


def _publish(staged: Path, board: Board, submission: Submission, rows: list[Any], replace: str | None) -> None:
    """The submission's record comes last: without it, files and rows are nobody's and are written again."""
    if replace is not None:
        remove(board, replace)
    record, name = submission.task, submission.id
    copy_atomically(staged / "index.parquet", board.images_file(submission.images))
    copy_atomically(Board(staged).scores_file(name), board.scores_file(name))
    for path in Board(staged).sources(name).rglob("*"):
        if path.is_file():
            copy_atomically(path, board.sources(name) / path.relative_to(Board(staged).sources(name)))
    before = [row for row in board.rows(record.name, record.effective.kind) if row.submission != name]
    board.write_rows(record.name, [*before, *rows])
    board.write(submission)


def _check_same(rows: Sequence[Any], stored: Sequence[Any]) -> None:
    """The run's own rows must be what its scores give."""
    if len(rows) != len(stored):
        raise UserError(f"results.jsonl has {len(stored)} rows, its scores give {len(rows)}; repeat the run")
    for row, old in zip(rows, stored, strict=True):
        for field, value in row:
            before = getattr(old, field)
            if field == "seconds_per_image" or value == before:
                continue
            # Stored as float32, so that rows from the score file may differ from the run's in the eighth digit.
            if field in MEASURES and value and before and abs(value - before) < 1e-6 * abs(before):
                continue
            raise UserError(
                f"results.jsonl: {about(row)}: {field} is {before}, its scores give {value}; repeat the run"
            )


def _check_new(board: Board, submission: Submission, rows: Sequence[Any], replace: str | None) -> None:
    record = submission.task
    old = [row for row in board.rows(record.name, record.effective.kind) if row.submission != replace]
    there = {_identity(row): row.submission for row in old}
    for row in rows:
        if (other := there.get(_identity(row))) is not None:
            raise UserError(
                f"{about(row)} is on {board.root} already, in {other}; to put this one in its place, give "
                f"--replace {other}"
            )


def _identity(row: Any) -> tuple[object, ...]:
    names = ("task_version", "metric_version", "detector_version", "precision", "images_fingerprint", "attacked")
    return (about(row), row.source, *(getattr(row, name, None) for name in names))


def _sources(checked: Checked, repository: str | None) -> dict[str, Source]:
    """Detector -> where its code is from, of those that did not come with iarbench."""
    found: dict[str, Source] = {}
    if not checked.codes:
        return found
    if repository is not None and "@" not in repository.removeprefix("git@"):
        raise UserError(f"--source {repository}: name a commit too, https://...@<commit>")
    for choice in choose_all(checked.task.spec.detectors):
        if choice.code is None:
            continue
        if choice.code.digest != checked.codes.get(choice.kind.name):
            raise UserError(f"{choice.text}: the code has changed since the run; repeat the run and submit that")
        entry = choice.code.file.relative_to(choice.code.folder).as_posix()
        files = {path.relative_to(choice.code.folder).as_posix(): sha256_file(path) for path in choice.code.files}
        kept = {} if repository else files
        found[choice.kind.name] = Source(reference=choice.text, entry=entry, repository=repository, files=kept)
    return found


def _copy(source: Source, checked: Checked, folder: Path) -> None:
    if not source.files:
        return
    choice: Choice = choose_all([source.reference])[0]
    assert choice.code is not None
    for name in source.files:
        copy_atomically(choice.code.folder / name, folder / name)


def _where(source: Source | None, name: str) -> str | None:
    if source is None:
        return None
    return source.repository or f"sources/{name}/{source.entry}"
