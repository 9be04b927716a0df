"""``iarbench verify``: do stored numbers follow from stored scores, and do these from the images?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.submit.board import Board, Submission

EXAMPLES = """  iarbench verify --all                 every submission of the board
  iarbench verify mini-3fa9c210         one of them; `iarbench verify` lists them
  iarbench verify 5f0c1b22a9de          the submission of one row
  iarbench verify 5f0c1b22a9de --rerun  and that row once more, from the images
  iarbench verify runs/mini             a run's folder
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Recompute rows from the scores per image that are stored with them, and name what differs: a changed row, "
        "score, record or image. Needs neither torch nor the models, but for --rerun."
    )
    parser = options.add_command(subparsers, "verify", "recompute stored results", description, EXAMPLES)
    parser.add_argument("what", nargs="*", metavar="WHAT", help="submissions, rows, or folders of runs")
    parser.add_argument("--all", action="store_true", help="every submission, and that nothing else is there")
    options.add_board(parser)
    parser.add_argument("--rerun", action="store_true", help="also compute the scores again, from the images")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for what --rerun computes; default: a new one")
    parser.add_argument("--record", action="store_true", help="note on the board what --rerun has confirmed")


def execute(args: argparse.Namespace) -> int:
    """Check; 1 when something differs."""
    board = options.board(args)
    if not args.all and not args.what:
        return _list(board)
    bad = 0
    for what in dict.fromkeys([*args.what, *(board.names() if args.all else [])]):
        bad += _run(Path(what)) if Path(what).is_dir() else _submission(board, what, args)
    if args.all:
        from iarbench.submit.verify import orphans

        bad += _report(f"{board.root}", list(orphans(board)), "nothing beside them")
    return 1 if bad else 0


def _list(board: Board) -> int:
    names = board.names()
    for name in names:
        submission = board.read(name)
        print(f"{name}  {submission.rows} rows{submission.told_elsewhere()}  {submission.commands[-1]}")
    if not names:
        raise UserError(f"{board.root} has no submissions to verify; give --board, or work in a checkout of iarbench")
    return 0


def _run(root: Path) -> int:
    from iarbench.submit.verify import verify_run

    return _report(str(root), list(verify_run(root)), "its rows follow from its scores")


def _submission(board: Board, what: str, args: argparse.Namespace) -> int:
    from iarbench.submit.verify import verify_submission

    row = None if what in board.names() else _row(board, what)
    name = what if row is None else row.submission
    bad = _report(name, list(verify_submission(board, name)), "its rows follow from its scores")
    if row is not None:
        print(_told(row))
    if args.rerun and not bad:
        bad += _rerun(board, board.read(name), row, args)
    return bad


def _rerun(board: Board, submission: Submission, row: Any, args: argparse.Namespace) -> int:
    import sys
    import tempfile

    from iarbench.submit.rerun import record, rerun

    rows = board.rows_of(submission) if row is None else [row]
    with tempfile.TemporaryDirectory(prefix="iarbench-rerun-") as folder:
        found = list(rerun(board, submission, args.out or Path(folder) / "run", rows, sys.stderr))
    if not found and args.record:
        record(board, submission, len(rows))
    return _report(submission.id, found, f"{len(rows)} rows come out again from the images")


def _row(board: Board, wanted: str) -> Any:
    from iarbench.submit.board import row_id

    for name in board.names():
        for row in board.rows_of(board.read(name)):
            if row_id(row) == wanted:
                return row
    raise UserError(f"{board.root} has no submission or row {wanted!r}; `iarbench verify` lists the submissions")


def _told(row: Any) -> str:
    from iarbench.submit.board import about

    value = "no value" if row.value is None else f"{row.value:.4f} [{row.low:.4f}, {row.high:.4f}]"
    return f"{about(row)}: {value}"


def _report(name: str, differences: list[str], fine: str) -> int:
    print(f"{name}: {'differs' if differences else fine}")
    for line in differences:
        print(f"  {line}")
    return len(differences)
