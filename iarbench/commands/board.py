"""``iarbench board``: rows of results as a static page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.board.gather import Batch
    from iarbench.submit.board import Board

EXAMPLES = """  iarbench board build --out site                        the stored rows; then open site/index.html
  iarbench board build --out site --run runs/mine        with the rows of a run of yours beside them
  iarbench board build --out site --rows mine.jsonl --own    those rows alone
  iarbench board build --out site --space me/board       and put it on the Hugging Face Hub
  iarbench board hub-files --out hub --dataset me/iarbench-mini     eval.yaml and .eval_results, for you to push
"""

HUB_FILES = (
    "Write eval.yaml, for the repository of the images, and .eval_results, for those of the models. The Hub shows them "
    "once their owners have pushed them and it knows the benchmark."
)


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command and its action to the command line."""
    description = "Rankings, curves and confusion matrices as a folder of HTML that needs no server and no network."
    parser = options.add_command(subparsers, "board", "a page of results", description, EXAMPLES)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = options.add_command(actions, "build", "write the page", description, EXAMPLES)
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder; an older board is replaced")
    _add_rows(build)
    help = "then send it to this static Space of the Hugging Face Hub, which is made if needed"
    build.add_argument("--space", metavar="OWNER/NAME", help=help)
    build.add_argument("--private", action="store_true", help="make the Space private")
    files = options.add_command(actions, "hub-files", "the Hub's own files for benchmarks", HUB_FILES, EXAMPLES)
    files.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for them")
    files.add_argument("--task", default="mini", help="whose rows; default: mini")
    files.add_argument("--dataset", required=True, metavar="OWNER/NAME", help="repository that holds the task's images")
    files.add_argument("--source", metavar="URL", help="where the results can be looked up, such as the board")
    _add_rows(files)


def _add_rows(parser: argparse.ArgumentParser) -> None:
    help = "rows to add, such as the results.jsonl of a run; may be given again"
    parser.add_argument("--rows", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help=help)
    help = "folder of a run to add; its rows are recomputed from its scores; may be given again"
    parser.add_argument("--run", type=Path, nargs="+", action="extend", default=[], metavar="RUN", help=help)
    base = parser.add_mutually_exclusive_group()
    help = "a board of your own (`iarbench submit RUN --board DIR`), in place of the one that iarbench brings along"
    base.add_argument("--board", type=Path, metavar="DIR", help=help)
    base.add_argument("--own", action="store_true", help="these alone, without the rows that iarbench brings along")


def execute(args: argparse.Namespace) -> int:
    """Gather rows, write the folder."""
    actions = {"build": _build, "hub-files": _hub_files}
    return actions[args.action](args)


def _build(args: argparse.Namespace) -> int:
    from iarbench.board import reported
    from iarbench.board.site import build
    from iarbench.board.space import send
    from iarbench.hub import require_repository_name

    if args.space:
        require_repository_name(args.space, "--space", "me/board")
    elif args.private:
        raise UserError("--private is about a Space; add --space OWNER/NAME")
    board = _board(args)
    known = reported.of_board(board) if board else None
    built = build(_batches(args, board), args.out, reported=known, progress=sys.stderr)
    options.say(f"{built.rows} rows of {built.detectors} detectors")
    print(built.index)
    if args.space:
        print(send(args.out, args.space, args.private))
    return 0


def _hub_files(args: argparse.Namespace) -> int:
    from iarbench.board.hub_files import write_hub_files

    for path in write_hub_files(_batches(args, _board(args)), args.task, args.dataset, args.source, args.out):
        print(path)
    return 0


def _board(args: argparse.Namespace) -> Board | None:
    """Whose rows the user's stand beside; None for nobody's."""
    from iarbench.submit.board import Board

    if args.board is not None and not (args.board / "rows").is_dir():
        raise UserError(f"--board {args.board}: there is no board here, which has a folder rows/")
    return None if args.own else Board(args.board) if args.board else Board.packaged()


def _batches(args: argparse.Namespace, board: Board | None) -> list[Batch]:
    from iarbench.board import gather

    there = gather.of_board(board) if board else []
    return [*there, *gather.from_files(args.rows, own=True), *gather.from_runs(args.run)]
