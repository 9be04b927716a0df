"""--launch, --jobs, --slurm and --address, for commands whose work several processes can share."""

from __future__ import annotations

import argparse

from iarbench.commands import options
from iarbench.errors import UserError
from iarbench.extras import optional
from iarbench.harness.launch.engine import ENGINES, NEEDS, Launch

PACKAGES = {"slurm": "submitit", "ray": "ray"}


def add_launch(parser: argparse.ArgumentParser) -> None:
    """The options, for `launch`."""
    group = parser.add_argument_group("several processes or machines", "the results are the same; see docs/scale.md")
    group.add_argument("--launch", choices=ENGINES, help="local processes, SLURM job arrays, or a Ray cluster")
    help = "processes at a time; default: one a GPU, or one a core where there is none"
    group.add_argument("--jobs", type=options.positive, metavar="N", help=help)
    help = "parameters of submitit such as partition=gpu,timeout_min=60"
    group.add_argument("--slurm", metavar="KEY=VALUE,...", help=help)
    group.add_argument("--address", metavar="HOST:PORT", help="of the Ray cluster; default: auto, the one here")


def launch(args: argparse.Namespace) -> Launch | None:
    """What they say; None for work in this process. Raises UserError where one asks for another."""
    for name, needed in NEEDS.items():
        if getattr(args, name) is not None and args.launch not in needed:
            raise UserError(f"--{name} needs --launch {' or '.join(needed)}")
    if args.launch is None:
        return None
    if args.launch == "slurm" and args.jobs is None:
        raise UserError("--launch slurm needs --jobs N, how many jobs the array has at a time")
    if (package := PACKAGES.get(args.launch)) is not None:
        optional(package, f"--launch {args.launch}")  # known before any work
    return Launch(args.launch, args.jobs, _parameters(args.slurm or ""), args.address or "auto")


def _parameters(text: str) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for pair in filter(None, text.split(",")):
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise UserError(f"--slurm {text}: {pair!r} is not KEY=VALUE, such as partition=gpu")
        found[key] = int(value) if value.isascii() and value.isdigit() else value
    return found
