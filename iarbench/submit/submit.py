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
from iarbench.submit.elsewhere import counting_on, divide
from iarbench.submit.keep import kept
from iarbench.submit.repeatable import repeatable
from iarbench.submit.score_file import read_index, read_scores, write_index, write_scores


def submit(
    root: Path, board: Board, *, local: bool = False, repository: str | None = None, replace: Sequence[str] = ()
) -> Submission:
    """Put a run's rows, scores and code on a board; nothing is written unless all of it is sound. Rows that are there
    already, with equal numbers, stay where they are (`iarbench.submit.elsewhere`).

    Args:
        repository: "https://...@commit" that holds the code of detectors that did not come with iarbench; without it
            their files are copied.
        replace: submissions that this one takes the place of.

    Raises:
        UserError: what `check_run` says, rows are there with other numbers, nothing is new, or another submission
            counts on one that is to be replaced.
    """
    checked = check_run(root, local)
    name = f"{checked.task.spec.name}-{checked.manifest.sha256[:8]}"
    if name in board.names() and name not in replace:
        raise UserError(f"{root} is on {board.root} already, as {name}")
    for old in replace:
        board.read(old)
    for other, old in counting_on(board, replace).items():
        raise UserError(
            f"{other} counts on rows of {old}; replace both, --replace {old} --replace {other}, and submit the run of "
            f"{other} again after this one"
        )
    sources = _sources(checked, repository)
    staged = board.root / f".{name}.tmp"
    try:
        submission, rows = _stage(checked, name, staged, sources, board, replace)
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


def _stage(
    checked: Checked, name: str, staged: Path, sources: dict[str, Source], board: Board, replace: Sequence[str]
) -> tuple[Submission, list[Any]]:
    """Everything of the submission in a folder of its own, and its new rows, computed from what is stored there."""
    draft, task, kind = Board(staged), checked.task, KINDS[checked.task.spec.kind]
    index_file, scores_file = staged / "index.parquet", draft.scores_file(name)
    write_index(checked.index, index_file)
    index = read_index(index_file)
    write_scores(checked.scores, index, scores_file)
    scores = read_scores(scores_file, index)
    rows = kind.compute(scores, index, task)
    _check_same(rows, checked.rows)
    where = {detector: source.where(name) for detector, source in sources.items()}
    keep = kept(rows, task, lambda row: where.get(row.detector), name)
    for source in sources.values():
        _copy(source, checked, draft.sources(name))
    manifest = checked.manifest
    last = manifest.runs[-1]
    submission = Submission(
        id=name, commands=tuple(dict.fromkeys(repeatable(run.command) for run in manifest.runs)),
        iarbench=last.iarbench, git=last.git, packages=last.packages, hardware=last.hardware, task=manifest.task,
        image_set=manifest.images.set, images_fingerprint=manifest.images.fingerprint, limit=manifest.images.limit,
        precision=manifest.precision, weights=manifest.weights, notes=manifest.notes, sources=tuple(sources.values()),
        images=sha256_file(index_file), scores=sha256_file(scores_file), rows=len(keep), rows_sha256=rows_digest(keep),
    )  # fmt: skip
    new, elsewhere = divide(board, submission, keep, scores, replace)
    update = {"rows": len(new), "rows_sha256": rows_digest(new), "elsewhere": elsewhere}
    return submission.model_copy(update=update).sealed(), new


def _publish(staged: Path, board: Board, submission: Submission, rows: list[Any], replace: Sequence[str]) -> None:
    """The submission's record comes last: without it, files and rows are nobody's and are written again."""
    for old in replace:
        remove(board, old)
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
