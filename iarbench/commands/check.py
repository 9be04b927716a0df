"""``iarbench check``: parity with official outputs, and full-size names and shapes."""

from __future__ import annotations

import argparse
from pathlib import Path

from iarbench.commands import options

EXAMPLES = """  iarbench check parity tests/golden/llamagen
  iarbench check parity goldens/*            every folder with config.json, weights and io.safetensors
  iarbench check manifest manifest_var.json  every tensor name and shape of the released files
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Compare our models with outputs or file manifests of the official implementations. "
        "Prints a line a tensor (or file) and exits with 1 when one is over its tolerance."
    )
    parser = options.add_command(
        subparsers, "check", "prove that models behave as the official ones do", description, EXAMPLES
    )
    parser.add_argument("what", choices=["parity", "manifest"], help="golden folders, or manifest files")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="golden folders or manifest files")
    parser.add_argument("--quiet", action="store_true", help="print only what is over, and a summary a path")


def execute(args: argparse.Namespace) -> int:
    """Run the checks; 0 when all hold, 1 otherwise."""
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

    failed = 0
    for path in args.paths:
        lines = list(check_folder(path) if args.what == "parity" else check_manifest(path))
        over = [line for line in lines if str(line).startswith("OVER")]
        print(f"{path}: {len(lines)} checks, {len(over)} over")
        for line in over if args.quiet else lines:
            print(f"  {line}")
        failed += len(over)
    return 1 if failed else 0
