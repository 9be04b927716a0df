"""``iarbench report``: the table of a run, recomputed from its scores."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.harness.run import Outcome
    from iarbench.results.view import View

EXAMPLES = """  iarbench report runs/mini
  iarbench report runs/mini --details               every threshold, AUROC and time
  iarbench report runs/mini --all-sets              every non-member set on its own
  iarbench report runs/mini --all-scores --all-encoders
  iarbench report runs/mini --fpr 0.05              at another nominal rate of the task
  iarbench report runs/mini --threshold guaranteed  the rate kept with 95 % confidence, or why it cannot be
  iarbench report runs/mini --format markdown > table.md
  iarbench report runs/mini --format latex > table.tex
  iarbench report runs/mini --format csv > rows.csv   every row with all its fields
  iarbench report runs/mini --roc roc.png --attack jpeg50
  iarbench report runs/mini --png table.png
  iarbench report runs/mini --ranks                 mean ranks over all attacks and targets, with intervals
  iarbench report runs/mini --ranks --with runs/mine --with mini-dbd3cf00    beside other runs and submissions
  iarbench report runs/sweep --robustness           area under the curve over an attack's strength, worst target first
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Recompute every metric from the stored scores of a run. Needs neither torch nor the models."
    parser = options.add_command(subparsers, "report", "the table of a run", description, EXAMPLES)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that `iarbench run` wrote")
    options.add_view(parser)
    help = "nominal false-positive rate to show, as a fraction such as 0.05"
    parser.add_argument("--fpr", type=options.rate, metavar="RATE", help=help)
    help = "kind of the threshold whose TPR stands with its interval; default: matched"
    parser.add_argument("--threshold", choices=["matched", "transfer", "oracle", "guaranteed"], help=help)
    tables = parser.add_mutually_exclusive_group()
    help = "mean ranks over all tasks, attacks and targets, with what the images leave open"
    tables.add_argument("--ranks", action="store_true", help=help)
    help = "area under the TPR over an attack's strength, worst target first; --details: every target"
    tables.add_argument("--robustness", action="store_true", help=help)
    help = "of --ranks: another run's folder or submission to rank beside it; may be given again"
    parser.add_argument("--with", action="append", default=[], metavar="RUN", dest="others", help=help)
    options.add_board(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="its rows as one JSON object; more of them with --all-scores, ..."
    )
    help = "the table as Markdown or LaTeX (booktabs), or all rows as CSV"
    form.add_argument("--format", choices=["markdown", "csv", "latex"], help=help)
    form.add_argument("--markdown", action="store_const", const="markdown", dest="format", help="--format markdown")
    parser.add_argument("--png", type=options.png, metavar="FILE", help="also draw it")
    help = "also draw ROC curves with their 95%% bands, pooled non-members"
    parser.add_argument("--roc", type=options.png, metavar="FILE", help=help)
    parser.add_argument("--attack", default="none", metavar="NAME", help="of the ROC curves; default: none")


def execute(args: argparse.Namespace) -> int:
    """Recompute and print."""
    if args.others and not args.ranks:
        raise UserError("--with goes with --ranks; for two detectors side by side there is `iarbench compare`")
    if args.ranks or args.robustness:
        if args.threshold not in (None, "matched"):
            raise UserError("--ranks and --robustness are by the matched threshold; leave --threshold out")
        from iarbench.commands.report_standings import print_standings

        return print_standings(args)
    from iarbench.harness.codec_control import control_line
    from iarbench.harness.leak_checks import warnings_of
    from iarbench.harness.run import recompute

    options.require_new_file(args.png, "--png")
    options.require_new_file(args.roc, "--roc")
    outcome = recompute(args.run, args.fpr)
    view = _view(args, outcome)
    if args.json:
        print(json.dumps({"out": str(args.run), **outcome.dump(view)}, ensure_ascii=False))
    elif args.format:
        print(_formatted(outcome, args.format, view), end="")
    else:
        outcome.kind.show(outcome.rows, view)
    for line in warnings_of(outcome.leak_checks):
        options.say(line)
    if control := control_line(outcome.leak_checks):
        options.say(control)
    if args.png:
        outcome.kind.plot(outcome.rows, args.png, args.fpr)
    if args.roc:
        _roc(args.run, args.roc, args.attack)
    return 0


def _view(args: argparse.Namespace, outcome: Outcome) -> View:
    view = options.view(args, args.fpr)
    if args.threshold is None:
        return view
    if outcome.task.spec.kind != "provenance":
        raise UserError(
            f"{args.run}: --threshold is for provenance; a table of {outcome.task.spec.kind} shows every kind"
        )
    return replace(view, threshold=args.threshold)


def _formatted(outcome: Outcome, form: str, view: View) -> str:
    from iarbench.results.exports import as_csv, as_latex

    if form == "csv":
        return as_csv(outcome.rows)
    table = outcome.kind.markdown(outcome.rows, view)
    return (as_latex(table) if form == "latex" else table) + "\n"


def _roc(run: Path, path: Path, attack: str) -> None:
    from iarbench.results.roc_plot import plot_roc
    from iarbench.results.sides import cells_of_run

    plot_roc(cells_of_run(run), path, attack=attack)
