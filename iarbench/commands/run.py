"""``iarbench run``: score the images of a task and report, resuming where an earlier run stopped."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options

if TYPE_CHECKING:
    from iarbench.harness.plan import Plan
    from iarbench.task import Task

EXAMPLES = """  iarbench run                                        the packaged task, into runs/mini
  iarbench run --dry-run                              what that would compute, and what is there already
  iarbench run --limit 50 --detector quantloss        a quick look
  iarbench run --target var-mini --attack none,jpeg60,blur9 --out runs/var
  iarbench run --task mine.yaml --images sets/mine --device cuda --batch-size 256 --workers 8
  iarbench run --detector ./mine.py:MyDetector        a detector of your own

Re-run the same command to resume; a finished run only prints its table.
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Score images and say which a generator made, with thresholds from calibration images."
    parser = options.add_command(subparsers, "run", "run a task: score images, write results", description, EXAMPLES)
    parser.add_argument("--task", default="mini", help="a task of `iarbench ls tasks`, or a .yaml file; default: mini")
    parser.add_argument("--out", type=Path, help="folder of the run; default: runs/<task>")
    parser.add_argument("--images", help="another image set: a name, a path or hf:owner/name@revision")
    for name, example in (("target", "var-mini"), ("detector", "quantloss"), ("attack", "jpeg50+resize0.5")):
        parser.add_argument(f"--{name}", action="append", metavar="NAME", help=f"only this one, such as {example}")
    parser.add_argument("--encoder", action="append", metavar="NAME", help="original, inverse or inverse-aug")
    help = "nominal false-positive rate, such as 0.05; the first one given is shown"
    parser.add_argument("--fpr", action="append", type=options.rate, metavar="RATE", help=help)
    parser.add_argument("--attacked", choices=["both", "members", "nonmembers"], help="the side that attacks act on")
    parser.add_argument("--limit", type=options.positive, metavar="N", help="first N images of each source and split")
    options.add_view(parser)
    options.add_compute(parser)
    parser.add_argument("--workers", type=options.not_negative, metavar="N", help="processes that prepare images")
    parser.add_argument("--compile", action="store_true", help="compile the models first; for long runs on a GPU")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--json", action="store_true", help="print the result (or the plan) as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress, no notes")


def execute(args: argparse.Namespace) -> int:
    """Plan, run, print."""
    from iarbench.harness.leak_checks import warnings_of
    from iarbench.harness.run import prepare, run

    settings = options.settings(args)
    task = _task(args)
    plan = prepare(task, settings)
    out = args.out or Path("runs") / task.spec.name
    for note in plan.notes:
        options.say(f"note: {note}", args.quiet)
    if args.dry_run:
        return _describe(plan, out, args.json)
    outcome = run(plan, out, settings, None if args.quiet else sys.stderr)
    if args.json:
        print(json.dumps({"out": str(out), **outcome.dump()}, ensure_ascii=False))
    else:
        from iarbench.results.tables import show

        show(outcome.rows, options.view(args, args.fpr[0] if args.fpr else None))
    for line in warnings_of(outcome.leak_checks):
        options.say(line, args.quiet)
    options.say(f"{out}: scores, results.jsonl, results.png, manifest.json", args.quiet)
    return 0


def _task(args: argparse.Namespace) -> Task:
    from iarbench.task import Task

    return Task.load(args.task).narrowed(
        targets=options.names(args.target),
        detectors=options.names(args.detector),
        encoders=options.names(args.encoder),
        attacks=options.names(args.attack),
        attacked=args.attacked,
        fpr=args.fpr,
        images=args.images,
    )


def _describe(plan: Plan, out: Path, as_json: bool) -> int:
    from iarbench.harness.run import outline

    found = outline(plan, out)
    if as_json:
        print(json.dumps(found))
        return 0
    print(f"task       {found['task']} version {found['version']}")
    print(f"images     {found['images']} of {found['image_set']}")
    for name in ("targets", "encoders", "detectors", "attacks"):
        print(f"{name:<10} {', '.join(found[name])}")
    print(f"parts      {found['parts']}, of which {found['parts_done']} are done")
    print(f"to do      {found['images_to_score']} images to prepare, {found['scores_to_compute']} scores to compute")
    print(f"time       {found['estimate']}")
    print(f"out        {out}")
    return 0
