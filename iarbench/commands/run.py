"""``iarbench run``: score the images of a task and report, resuming where an earlier run stopped."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.commands.launch_options import add_launch, launch

if TYPE_CHECKING:
    from iarbench.harness.plan import Plan
    from iarbench.task import Task

EXAMPLES = """  iarbench run                                        the packaged task, into runs/mini
  iarbench run --dry-run                              what that would compute, and what is there already
  iarbench run --limit 50 --detector quantloss        a quick look
  iarbench run --target var-mini --attack none,jpeg60,blur9 --out runs/var
  iarbench run --target llamagen-mini --members mine/ --real photos/          your own images
  iarbench run --task mine.yaml --images sets/mine --device cuda --batch-size 256 --workers 8
  iarbench run --task attribution-mini --reuse runs/mini      which of the targets made an image, from the same scores
  iarbench run --detector all --encoder inverse       every detector below a second per image; shows which
  iarbench run --detector ./mine.py:MyDetector        a detector of your own; `iarbench check detector` tries it first
  iarbench run --launch local --jobs 2                several processes; also SLURM and Ray, see docs/scale.md
  iarbench run --detector ./mine.py:Mine:steps=3,lr=.1,quantloss   with parameters, beside another one

Re-run the same command to resume; a finished run only prints its table.
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = "Score images and say which a generator made, with thresholds from calibration images."
    parser = options.add_command(subparsers, "run", "run a task: score images, write results", description, EXAMPLES)
    parser.add_argument("--task", default="mini", help="a task of `iarbench ls tasks`, or a .yaml file; default: mini")
    parser.add_argument("--out", type=Path, help="folder of the run; default: runs/<task>")
    help = "folder of another run, whose scores are taken over where they are the same; may be given again"
    parser.add_argument("--reuse", type=Path, action="append", default=[], metavar="RUN", help=help)
    parser.add_argument("--images", help=f"another image set: {options.SET_HELP}")
    examples = {"target": "var-mini", "detector": "quantloss,encloss", "attack": "jpeg50,crop0.8+jpeg50"}
    for name, example in examples.items():
        help = f"in place of the {name}s of the task, such as {example}"
        parser.add_argument(f"--{name}", action="append", metavar="NAME", help=help)
    parser.add_argument(
        "--encoder", action="append", metavar="NAME", help="of `iarbench ls generators`, such as inverse"
    )
    help = "nominal false-positive rate, such as 0.05; the first one given is shown"
    parser.add_argument("--fpr", action="append", type=options.rate, metavar="RATE", help=help)
    options.add_align(parser)
    help = "whom attacks act on: both, members (removal) or non-members (spoofing)"
    parser.add_argument("--attacked", type=options.side, metavar="SIDE", help=help)
    parser.add_argument("--limit", type=options.positive, metavar="N", help="first N images of each source and split")
    _add_own_images(parser)
    options.add_view(parser)
    options.add_compute(parser)
    parser.add_argument("--workers", type=options.not_negative, metavar="N", help="processes that prepare images")
    parser.add_argument("--compile", action="store_true", help="compile the models first; for long runs on a GPU")
    add_launch(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--json", action="store_true", help="print the result (or the plan) as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress, no notes")


def _add_own_images(parser: argparse.ArgumentParser) -> None:
    own = parser.add_argument_group(
        "your own images", "folders of pictures, Parquet, or image sets; needs one --target"
    )
    own.add_argument("--members", metavar="SRC", help="images that the target made")
    own.add_argument("--real", action="append", metavar="SRC", help="images that it did not make; may be given again")
    own.add_argument("--with-others", action="store_true", help="also against the task's other generators")
    help = "how to read folders that hold both pictures and Parquet"
    own.add_argument("--as", dest="read_as", choices=["folder", "parquet"], help=help)
    group = own.add_mutually_exclusive_group()
    help = "what is never split between calibration and test; default: image"
    group.add_argument("--group-by", choices=["image", "folder"], help=help)
    group.add_argument("--group-column", metavar="NAME", help="column of Parquet files that says so")


def execute(args: argparse.Namespace) -> int:
    """Plan, run, print."""
    from iarbench.commands.run_lacking import show_lacking
    from iarbench.files import require_writable
    from iarbench.harness.codec_control import control_line
    from iarbench.harness.leak_checks import warnings_of
    from iarbench.harness.run import prepare, run

    engine, settings = launch(args), options.settings(args)
    task, notes = _task(args)
    if args.dry_run and (status := show_lacking(task, notes, settings.weights_dir, args.json)):
        return status
    out = args.out or Path("runs") / task.spec.name
    if not args.dry_run:
        require_writable(out, "--out")
    plan = prepare(task, settings, notes, hashed=engine is None)
    for note in plan.notes:
        options.say(f"note: {note}", args.quiet)
    if args.dry_run:
        return _describe(plan, out, args.json) or int(plan.set_aside)
    outcome = run(plan, out, settings, None if args.quiet else sys.stderr, reuse=args.reuse, launch=engine)
    if args.json:
        print(json.dumps({"out": str(out), **outcome.dump(options.view(args, None))}, ensure_ascii=False))
    else:
        outcome.kind.show(outcome.rows, options.view(args, args.fpr[0] if args.fpr else None))
    for line in warnings_of(outcome.leak_checks):
        options.say(line, args.quiet)
    if control := control_line(outcome.leak_checks):
        options.say(control, args.quiet)
    more = "".join(f", {name}" for name in outcome.kind.files)
    options.say(f"{out}: scores, results.jsonl, results.png{more}, manifest.json", args.quiet)
    return int(plan.set_aside)


def _task(args: argparse.Namespace) -> tuple[Task, list[str]]:
    from iarbench.files import cache_dir, require_writable
    from iarbench.harness.own_images import own_task
    from iarbench.harness.own_set import OwnImages
    from iarbench.harness.reuse import require_runs
    from iarbench.harness.suites import with_suites
    from iarbench.task import Task

    own = OwnImages.asked(
        args.members, args.real, args.group_by, args.group_column, args.with_others, args.read_as, args.images
    )
    task, suites = with_suites(
        Task.load(args.task)
        .narrowed(
            targets=options.names(args.target),
            detectors=options.names(args.detector),
            encoders=options.names(args.encoder),
            attacks=options.names(args.attack),
            attacked=args.attacked,
            fpr=args.fpr,
            images=args.images,
        )
        .aligned(args.align)
    )
    require_runs(args.reuse)
    if own is None:
        return task, suites
    require_writable(cache_dir(), "IARBENCH_CACHE")
    task, notes = own_task(task, own, cache_dir() / "own-images", None if args.quiet else sys.stderr)
    return task, [*suites, *notes]


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
