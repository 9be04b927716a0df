"""``iarbench check``: parity with official outputs, full-size names and shapes, and whether a detector is sound."""

from __future__ import annotations

import argparse
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from iarbench.commands import options
from iarbench.errors import UserError

EXAMPLES = """  iarbench check parity tests/golden/llamagen
  iarbench check parity goldens/*            every folder with config.json, weights and io.safetensors
  iarbench check manifest manifest_var.json  every tensor name and shape of the released files
  iarbench check detector ./mine.py:Mine     what every detector must do, on a toy and on a small model
  iarbench check detector ./mine.py:Mine:steps=3 --target var-mini
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Compare our models with outputs or file manifests of the official implementations, or see whether a detector "
        "does what detectors must. Prints a line per tensor, file or property and exits with 1 when one fails."
    )
    parser = options.add_command(
        subparsers, "check", "models that behave as the official ones do, sound detectors", description, EXAMPLES
    )
    parser.add_argument("what", choices=["parity", "manifest", "detector"], help="what is checked")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="golden folders, manifest files, or detectors")
    parser.add_argument(
        "--target", metavar="NAME", help="check detectors on this packaged model; default: toy and mini"
    )
    parser.add_argument("--quiet", action="store_true", help="print only what is over, and a summary a path")


def execute(args: argparse.Namespace) -> int:
    """Run the checks; 0 when all hold, 1 otherwise."""
    if args.what == "detector":
        return _check_detectors(args)
    if args.target is not None:
        raise UserError(f"--target belongs to `iarbench check detector`, not to `check {args.what}`")
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the goldens were made: more threads add up in another order, past the tolerance
    try:
        return _check(args)
    finally:
        torch.set_num_threads(threads)


def _check(args: argparse.Namespace) -> int:
    from iarbench.checks.manifest import check_manifest
    from iarbench.checks.parity import check_folder
    from iarbench.progress import counted

    failed = 0
    for path in counted(map(Path, args.paths), "checking", len(args.paths), "paths"):
        found = check_folder(path) if args.what == "parity" else check_manifest(path)
        lines = list(counted(found, "checking", None, "properties"))
        over = [line for line in lines if str(line).startswith("OVER")]
        print(f"{path}: {len(lines)} checks, {len(over)} over")
        for line in over if args.quiet else lines:
            print(f"  {line}")
        failed += len(over)
    return 1 if failed else 0


def _check_detectors(args: argparse.Namespace) -> int:
    from iarbench.checks.detector_conformance import benches, count_passes, passes
    from iarbench.harness.choose import choose
    from iarbench.progress import counted

    failed = 0
    choices = map(choose, options.names(args.paths))
    todo = [(choice, bench) for choice in choices for bench in benches(choice, args.target)]
    total = sum(count_passes(choice.kind) for choice, _ in todo)
    every = (
        (place, found)
        for place, (choice, bench) in enumerate(todo)
        for found in passes(choice.make(), bench, choice.owner, choice)
    )
    for place, some in groupby(counted(every, "checking", total, "passes over the images"), itemgetter(0)):
        choice, bench = todo[place]
        found = [one for _, of_pass in some for one in of_pass]
        broken = [one for one in found if not one.holds]
        print(f"{choice.text} on {bench.target.name}: {len(found)} properties, {len(broken)} fail")
        for one in broken if args.quiet else found:
            print(f"  {one}")
        failed += len(broken)
    return 1 if failed else 0
