"""``iarbench compare``: is detector A better than detector B on the same images?"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from iarbench.commands import options

if TYPE_CHECKING:
    from iarbench.results.compare import Pair, Verdict
    from iarbench.stats.paired import Comparison

EXAMPLES = """  iarbench compare runs/mini:quantloss runs/mini:encloss
  iarbench compare runs/mine runs/mini:quantloss --attack jpeg50 --fpr 0.05
  iarbench compare mini-3fa9c210:quantloss runs/mine --set flickr    a submission of the board
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Paired comparison on the same images: difference in TPR, with each detector's threshold drawn anew in every "
        "resample, and in AUROC (DeLong). Both need scores of the same images; neither torch nor the models."
    )
    parser = options.add_command(subparsers, "compare", "two detectors on the same images", description, EXAMPLES)
    help = "folder of a run or submission, then :detector (and :score) where it has several"
    parser.add_argument("a", metavar="A", help=help)
    parser.add_argument("b", metavar="B", help="likewise")
    parser.add_argument("--fpr", type=options.rate, default=0.01, metavar="RATE", help="default: 0.01")
    parser.add_argument("--set", default="pooled", metavar="NAME", help="set of non-members; default: pooled")
    parser.add_argument("--attack", action="append", metavar="NAME", help="these alone; default: all that both have")
    parser.add_argument("--encoder", metavar="NAME", help="of both; default: the inverse one where there is one")
    options.add_board(parser)
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def execute(args: argparse.Namespace) -> int:
    """Compare and print."""
    from iarbench.results.compare import compare_cells
    from iarbench.results.sides import side

    board = options.board(args)
    a, cells_a = side(args.a, board, args.encoder)
    b, cells_b = side(args.b, board, args.encoder)
    a, b = (a, b) if a != b else (f"{args.a} {a}", f"{args.b} {b}")
    found = compare_cells(
        cells_a, cells_b, fpr=args.fpr, nonmember_set=args.set, attacks=options.names(args.attack),
        progress=None if args.quiet else sys.stderr,
    )  # fmt: skip
    if args.json:
        print(json.dumps({"a": a, "b": b, **dataclasses.asdict(found), "sentence": found.sentence(a, b)}))
        return 0
    print(options.table(_grid(found)))
    for reason in dict.fromkeys(pair.reason for pair in found.pairs if pair.reason):
        print(f"– {reason}")
    print(f"\n{found.sentence(a, b)}")
    return 0


def _grid(found: Verdict) -> list[list[str]]:
    rate = f"TPR@{100 * found.fpr:g}%"
    head = ["target", "attack", f"{rate} of A", "of B", "difference", "p (Holm)", "AUROC difference", "p"]
    return [head, *map(_line, found.pairs)]


def _line(pair: Pair) -> list[str]:
    values = ["–" if value is None else f"{100 * value:.1f}" for value in (pair.a, pair.b)]
    adjusted = "–" if pair.p_adjusted is None else f"{pair.p_adjusted:.2g}"
    p = "–" if pair.auroc is None else f"{pair.auroc.p_value:.2g}"
    return [
        pair.target,
        pair.attack,
        *values,
        _difference(pair.tpr, 100, 1),
        adjusted,
        _difference(pair.auroc, 1, 3),
        p,
    ]


def _difference(found: Comparison | None, scale: int, digits: int) -> str:
    if found is None:
        return "–"
    value, low, high = (scale * number for number in dataclasses.astuple(found.difference))
    return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
