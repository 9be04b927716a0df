"""``iarbench report --ranks`` and ``--robustness``: detectors over all attacks and targets."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.results.standing_tables import Standings


def print_standings(args: argparse.Namespace) -> int:
    """Compute and print what is asked for. Raises UserError where there is nothing to rank or to draw a curve of."""
    from iarbench.results.exports import as_latex, records_as_csv
    from iarbench.text_table import markdown_table

    if args.png or args.roc:
        raise UserError("--png and --roc draw the usual report; leave --ranks and --robustness out for them")
    table = _ranks(args) if args.ranks else _robustness(args)
    if args.json:
        print(json.dumps({"rows": table.records, "notes": table.notes}, ensure_ascii=False))
    elif args.format == "csv":
        print(records_as_csv(table.records), end="")
    elif args.format:
        markdown = markdown_table(table.grid[0], table.grid[1:], table.texts)
        print(as_latex(markdown) if args.format == "latex" else markdown)
    else:
        print(options.table(table.grid))
        print("\n".join(["", *table.notes]))
    return 0


def _ranks(args: argparse.Namespace) -> Standings:
    from iarbench.results.detections import detections, usual_rate
    from iarbench.results.ranks import ranking
    from iarbench.results.sides import every_side
    from iarbench.results.standing_tables import of_ranks
    from iarbench.submit.board import Board

    board = options.board(args) if args.others else Board.packaged()
    runs = [str(args.run), *args.others]
    cells = [cell for run in runs for cell in every_side(run, board, all_scores=args.all_scores)]
    fpr = usual_rate(cells, args.fpr)
    found, refused = detections(cells, fpr, progress=sys.stderr)
    for reason in dict.fromkeys(refused.values()):
        options.say(f"– {reason}")
    ranks = ranking(found)
    if not ranks.places:
        raise UserError("nothing to rank: there is no task and attack that more than half of the detectors have")
    return of_ranks(ranks, fpr)


def _robustness(args: argparse.Namespace) -> Standings:
    from iarbench.harness.run import recompute
    from iarbench.results.areas import areas
    from iarbench.results.rows import AUROC, Row
    from iarbench.results.standing_tables import of_areas
    from iarbench.results.view import View, chosen_fpr, lines_of, primary_metric

    outcome = recompute(args.run, args.fpr)
    if outcome.task.spec.kind != "provenance":
        raise UserError(f"{args.run}: a run of kind {outcome.task.spec.kind}; curves over strength are for provenance")
    metric, fpr = primary_metric(outcome.rows), chosen_fpr(outcome.rows, args.fpr)
    rows: dict[tuple[str, str], dict[tuple[str, str], Row]] = {}
    for line in lines_of(outcome.rows, View(fpr, all_scores=args.all_scores, all_encoders=True)):
        if row := line.main(metric):
            rows.setdefault((line.detector, line.encoder), {})[line.attack, line.target] = row
    found = {names: there for names, one in rows.items() if (there := areas(one))}
    if not found:
        raise UserError(
            "no attack has numbers at two strengths or more; try `iarbench run --attack none,jpeg90,jpeg75,jpeg50`"
        )
    shown = "AUROC" if metric == AUROC or fpr is None else f"TPR@{100 * fpr:g}%"
    return of_areas(found, shown, every=args.details)
