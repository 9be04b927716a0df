"""``iarbench plot``: detection against the strength of attacks and against what they leave of the images."""

from __future__ import annotations

import argparse
from pathlib import Path

from iarbench.commands import options
from iarbench.errors import UserError

EXAMPLES = """  iarbench run --detector quantloss --attack suite:iclr2026 --limit 100 --out runs/sweep
  iarbench plot runs/sweep                          strength.png, quality.png and detection.csv in runs/sweep/plots
  iarbench plot runs/sweep --fpr 0.05 --out figures
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Draw what detectors reach under stronger and stronger attacks, from the stored scores of a run."
    parser = options.add_command(subparsers, "plot", "curves of a run: strength, quality", description, EXAMPLES)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that `iarbench run` wrote")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files go; default: RUN/plots")
    help = "nominal false-positive rate, as a fraction such as 0.05; default: the smallest that has numbers, from 0.01"
    parser.add_argument("--fpr", type=options.rate, metavar="RATE", help=help)


def execute(args: argparse.Namespace) -> int:
    """Recompute the rows and draw them."""
    from iarbench.files import write_text
    from iarbench.harness.run import recompute
    from iarbench.results.strength import as_csv, points_of
    from iarbench.results.strength_plot import plot_quality, plot_strength

    outcome = recompute(args.run)
    if outcome.task.spec.kind != "provenance":
        raise UserError(f"{args.run}: a run of kind {outcome.task.spec.kind}; its picture is results.png")
    points = points_of(outcome.rows, args.fpr)
    out = args.out or args.run / "plots"
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "detection.csv", as_csv(points))
    drawn = ["detection.csv"]
    if plot_strength(points, out / "strength.png"):
        drawn.append("strength.png")
    else:
        options.say(
            "note: no attack was run at two strengths or more: no strength.png; try --attack jpeg90,jpeg50,jpeg10"
        )
    if plot_quality(points, out / "quality.png"):
        drawn.append("quality.png")
    else:
        options.say(
            f"note: no PSNR is stored in {args.run}: no quality.png; repeat its `iarbench run`, which measures it"
        )
    print(f"{out}: {', '.join(drawn)}")
    return 0
