"""A submission's numbers once more, from the images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

from iarbench import __version__
from iarbench.attack import parse
from iarbench.device import Precision
from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.harness.machine import hardware
from iarbench.harness.plan import Settings
from iarbench.harness.run import prepare, run
from iarbench.results.rows import CLEAN, TOLERANCE
from iarbench.submit.board import Board, Submission, about
from iarbench.task import Task

RECORD = "reruns.jsonl"
"""On a board: which submissions were computed again from their images, by whom and when."""


def rerun(
    board: Board, submission: Submission, out: Path, rows: Sequence[Any], progress: TextIO | None = None
) -> Iterator[str]:
    """Run again what `rows` of a submission need, into `out`, and say which of them come out otherwise.

    Another kind of processor rounds otherwise: a value may be off by the row's tolerance, 0.02 where it has none.

    Raises:
        UserError: images, code or weights cannot be had.
    """
    task = Task.restore(submission.task)
    spec = task.spec
    detectors = {row.detector for row in rows}
    attacks = {row.attack for row in rows} | {CLEAN for row in rows if row.threshold_kind == "transfer"}
    narrowed = task.narrowed(
        targets=[name for name in spec.targets if spec.kind == "attribution" or name in {row.target for row in rows}],
        attacks=[text for text in spec.attacks if parse(text).name in attacks] or ["none"],
        detectors=[
            _reference(board, submission, text) for text in spec.detectors if _named(text, detectors, submission)
        ],
        encoders=[name for name in spec.encoders if name in {row.encoder for row in rows}],
    )
    settings = Settings(precision=cast(Precision, submission.precision), limit=submission.limit)
    found = run(
        prepare(narrowed, settings), out, settings, progress, command=f"iarbench verify --rerun {submission.id}"
    )
    fresh = {about(row): row for row in found.rows}
    for row in rows:
        again = fresh.get(about(row))
        if again is None:
            yield f"{about(row)}: the run gives no such row"
        elif (again.value is None) != (row.value is None):
            yield f"{about(row)}: value is {row.value}, run again {again.value}"
        elif row.value is not None and abs(again.value - row.value) > _tolerance(row):
            yield f"{about(row)}: value is {row.value:.4f}, run again {again.value:.4f}"


def record(board: Board, submission: Submission, rows: int) -> None:
    """Note on the board that so many rows of a submission, as it is now, came out again."""
    path = board.root / RECORD
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    told = {
        "submission": submission.id, "sha256": submission.sha256, "rows": rows, "iarbench": __version__,
        "date": datetime.now(UTC).date().isoformat(), "cpu": hardware()["cpu"],
    }  # fmt: skip
    write_text(path, f"{before}{json.dumps(told, ensure_ascii=False)}\n")


def _tolerance(row: Any) -> float:
    return float(getattr(row, "tolerance", None) or max(TOLERANCE.values()))


def _named(text: str, detectors: set[str], submission: Submission) -> bool:
    own = {source.reference for source in submission.sources}
    return text in own or text.partition(":")[0] in detectors


def _reference(board: Board, submission: Submission, text: str) -> str:
    """A detector as it is to be run: code of a submission from the board's copy."""
    source = next((source for source in submission.sources if source.reference == text), None)
    if source is None:
        return text
    if source.repository is not None:
        raise UserError(f"{text} is from {source.repository}: fetch it and run {submission.commands[-1]}")
    _, found, rest = text.partition(".py")
    return f"{board.sources(submission.id) / source.entry}{rest}" if found else text
