"""``iarbench new``: a file to start one's own method from."""

from __future__ import annotations

import argparse
from pathlib import Path

from iarbench.commands import options

EXAMPLES = """  iarbench new detector smooth           smooth.py and test_smooth.py, here
  iarbench run --detector ./smooth.py --target llamagen-mini --attack none,jpeg50 --out runs/smooth
  iarbench submit runs/smooth --board my-board --local
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command and its actions to the command line."""
    description = "Write a working file to start a method of your own from, with a test."
    parser = options.add_command(subparsers, "new", "start a detector of your own", description, EXAMPLES)
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    detector = options.add_command(actions, "detector", "a detector in one file", description, EXAMPLES)
    detector.add_argument("name", metavar="NAME", help="small letters, digits and _, such as my_method")
    detector.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder; default: this one")


def execute(args: argparse.Namespace) -> int:
    """Write the files and say what to do next."""
    from iarbench.scaffold import new_detector

    file, test = new_detector(args.name, args.out)
    shown = file if file.is_absolute() or str(file).startswith(".") else f"./{file}"
    print(f"{file}\n{test}")
    options.say(f"try it:    iarbench check detector {shown}")
    run = f"--detector {shown} --target llamagen-mini --attack none,jpeg50 --out runs/{args.name}"
    options.say(f"run it:    iarbench run {run}")
    options.say(f"test it:   pytest {test}")
    return 0
