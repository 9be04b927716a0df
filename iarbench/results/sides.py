"""Which scores a reader means by "runs/mini", "runs/mini:quantloss" or "mini-3fa9c210:quantloss:greedy"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.errors import UserError
from iarbench.registry import did_you_mean
from iarbench.results import seal
from iarbench.results.compute import Cell, cells_of, stored_cells
from iarbench.results.scores import load_index, load_scores
from iarbench.results.view import encoder_order
from iarbench.submit.board import Board
from iarbench.submit.check_run import finished
from iarbench.submit.score_file import read_index, read_scores
from iarbench.task import Task

if TYPE_CHECKING:
    import pandas as pd


def side(text: str, board: Board, encoder: str | None = None) -> tuple[str, list[Cell]]:
    """Name and cells, one a target, of the detector that a text names: a run's folder or a submission, then the
    detector and, if it is not its main one, the score.

    Raises:
        UserError: nothing of that name, or several detectors and none named.
    """
    where, detector, score = _parted(text)
    scores, index, task = _read(where, board)
    _require_provenance(where, task)
    known = list(dict.fromkeys(scores["detector"]))
    if not detector and len(known) > 1:
        raise UserError(f"{where} has several detectors; name one: {where}:{known[0]}, of {', '.join(known)}")
    detector = detector or known[0]
    if detector not in known:
        raise UserError(f"{where}: {did_you_mean('detector', detector, known)}")
    scores = scores[scores["detector"] == detector]
    scores = scores[scores["score_name"] == (score or scores["main_score"])]
    if scores.empty:
        raise UserError(f"{where}: {detector} has no score {score!r}")
    encoders = list(dict.fromkeys(scores["encoder"]))
    chosen = encoder or min(encoders, key=encoder_order)
    if chosen not in encoders:
        raise UserError(f"{where}: {detector} was not run with the encoder {chosen!r}, but with {', '.join(encoders)}")
    cells = list(cells_of(scores[scores["encoder"] == chosen], index, task.result_task()))
    if len({cell.target for cell in cells}) < len(cells):
        raise UserError(f"{where} has {detector} in several versions or with several parameters; compare runs with one")
    return ":".join(filter(None, (detector, score))) + f" ({chosen})", cells


def cells_of_run(root: Path) -> list[Cell]:
    """Every cell of a finished run. Raises UserError when it is none, or its task asks another question."""
    task = Task.restore(finished(root).task)
    _require_provenance(str(root), task)
    return stored_cells(root, seal.parts_of(root), task.result_task())


def every_side(where: str, board: Board, *, all_scores: bool = False) -> list[Cell]:
    """Every cell of a run's folder or of a submission, by default of main scores. Raises as `side` does."""
    scores, index, task = _read(where, board)
    _require_provenance(where, task)
    chosen = scores if all_scores else scores[scores["score_name"] == scores["main_score"]]
    return list(cells_of(chosen, index, task.result_task()))


def _require_provenance(where: str, task: Task) -> None:
    if task.spec.kind != "provenance":
        raise UserError(f"{where}: task {task.spec.name} asks which of several targets; this is for other tasks")


def _parted(text: str) -> tuple[str, str, str]:
    if Path(text).is_dir():
        return text, "", ""
    where, *rest = text.rsplit(":", 2) if Path(text.rsplit(":", 2)[0]).is_dir() else text.rsplit(":", 1)
    if not Path(where).is_dir():
        where, *rest = text.split(":")
    return where, *(*rest, "", "")[:2]  # type: ignore[return-value]


def _read(where: str, board: Board) -> tuple[pd.DataFrame, pd.DataFrame, Task]:
    root = Path(where)
    if not root.is_dir():
        if where not in board.names():
            raise UserError(f"{where}: no folder of a run, and no submission of {board.root}")
        submission = board.read(where)
        index = read_index(board.images_file(submission.images))
        return read_scores(board.scores_file(where), index), index, Task.restore(submission.task)
    return _of_run(root)


def _of_run(root: Path) -> tuple[pd.DataFrame, pd.DataFrame, Task]:
    manifest = finished(root)
    return load_scores(root, seal.parts_of(root)), load_index(root), Task.restore(manifest.task)
