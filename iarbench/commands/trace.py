"""``iarbench trace``: which of the known generators made these images, if any."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.harness.trace import Traced

EXAMPLES = """  iarbench trace picture.png
  iarbench trace *.png --json
  iarbench trace picture.png --detector quantloss --target llamagen-mini --alpha 0.01

A p-value says how often an image that the generator did not make would score as high; the answer holds with an error
of --alpha over all generators together. Calibration scores of `quantloss` come with the package; for another detector
the first call scores the calibration images and keeps their scores in $IARBENCH_CACHE (default ~/.cache/iarbench).
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Say which known generator made an image, with calibrated p-values, or that none of them did."
    parser = options.add_command(subparsers, "trace", "which generator made this image?", description, EXAMPLES)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--task", default="mini", help="whose targets and calibration images; default: mini")
    parser.add_argument("--target", action="append", metavar="NAME", help="only these generators")
    parser.add_argument("--detector", default="quantloss", metavar="NAME", help="default: quantloss")
    parser.add_argument("--encoder", metavar="NAME", help="of `iarbench ls generators`; default: inverse if there")
    parser.add_argument("--alpha", type=options.rate, default=0.05, help="chance of naming any generator wrongly")
    options.add_compute(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per image")
    parser.add_argument("--quiet", action="store_true", help="no progress, no notes")


def execute(args: argparse.Namespace) -> int:
    """Trace every file; 1 when some could not be read."""
    from iarbench.files import cache_dir
    from iarbench.harness.trace import make_tracer
    from iarbench.task import Task

    settings, progress = options.settings(args), None if args.quiet else sys.stderr
    task = Task.load(args.task).narrowed(targets=options.names(args.target), detectors=[args.detector])
    tracer = make_tracer(task, args.encoder, args.alpha, cache_dir() / "trace", settings, progress)
    found: list[Traced] = []
    failed = 0
    for path in args.images:
        try:
            found.append(tracer.trace(path))
        except UserError as error:
            options.say(f"error: {error}")
            failed += 1
    if args.json:
        for traced in found:
            print(json.dumps({"image": traced.path, "note": traced.note, **asdict(traced.answer)}))
    elif found:
        _show(found)
        for traced in found:
            if traced.note:
                options.say(f"note: {traced.path}: {traced.note}", args.quiet)
    return 1 if failed else 0


def _show(found: list[Traced]) -> None:
    """A line per image: the answer, then the adjusted p-value of every target."""
    targets = sorted(verdict.target for verdict in found[0].answer.verdicts)
    rows = [["image", "answer", *(f"p({target})" for target in targets)]]
    for traced in found:
        p = {verdict.target: f"{verdict.p_adjusted:.4f}" for verdict in traced.answer.verdicts}
        rows.append([traced.path, traced.answer.decision, *(p[target] for target in targets)])
    print(options.table(rows))
