"""``iarbench submit``: put the results of a run on a board."""

from __future__ import annotations

import argparse
from pathlib import Path

from iarbench.commands import options

EXAMPLES = """  iarbench submit runs/mine                           onto the board of a checkout, for a pull request
  iarbench submit runs/mine --board my-board --local  onto one of your own
  iarbench submit runs/mine --source https://github.com/me/method@0123abc
  iarbench verify --all                               what the pull request's check runs
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Check a finished run and add its rows, its scores per image and the code of its own detectors to a board, so "
        "that everybody can recompute them. leaderboard/RULES.md says what is accepted."
    )
    parser = options.add_command(subparsers, "submit", "put a run's results on a board", description, EXAMPLES)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that `iarbench run` wrote")
    options.add_board(parser)
    help = "for a board of your own: code that is not committed and images that nobody else has are fine"
    parser.add_argument("--local", action="store_true", help=help)
    help = "where the code of your detectors is, with its commit; without it their files are copied"
    parser.add_argument("--source", metavar="URL@COMMIT", help=help)
    help = "a submission that this one takes the place of; may be given again"
    parser.add_argument("--replace", metavar="ID", action="append", default=[], help=help)


def execute(args: argparse.Namespace) -> int:
    """Submit and say what is where."""
    from iarbench.submit.submit import submit

    board = options.board(args)
    found = submit(args.run, board, local=args.local, repository=args.source, replace=args.replace)
    print(f"{found.id}: {found.rows} rows in {board.rows_file(found.task.name)}{found.told_elsewhere()}")
    options.say(f"check it: iarbench verify {found.id} --board {board.root}")
    return 0
