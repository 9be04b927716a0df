# PYTHON_ARGCOMPLETE_OK
"""The command line: one module per command, and one place where errors become a line and an exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from iarbench import __version__
from iarbench.commands.parsing import Parser
from iarbench.errors import UserError
from iarbench.progress import shown_on

COMMANDS = (
    "run",
    "status",
    "report",
    "compare",
    "plot",
    "board",
    "submit",
    "verify",
    "new",
    "trace",
    "gallery",
    "ls",
    "images",
    "audit",
    "publish",
    "attack",
    "generate",
    "train",
    "finetune",
    "check",
)

PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
"""Threads that wait for each other sleep: spinning takes the core from the one that is waited for, on a busy machine
for ten to twenty times as long. Read when torch is loaded."""

EPILOG = """examples:
  iarbench run                 the packaged task: no GPU, no download, minutes
  iarbench report runs/mini    its table again, from the stored scores
  iarbench trace picture.png   which known generator made this?
  iarbench ls                  what there is: generators, detectors, attacks, ...
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line; imports no heavy library."""
    top = Parser(
        prog="iarbench",
        description="Was this image made by that image auto-regressive model, and is the answer still right after "
        "JPEG, crops or noise?",
        epilog=EPILOG,
    )
    top.add_argument("-V", "--version", action="version", version=f"iarbench {__version__}")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        importlib.import_module(f"iarbench.commands.{command}").add_parser(subparsers)
    subparsers.add_parser("help", help="the same as COMMAND --help", add_help=False)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 when something was found wrong, 2 for a mistake in the input."""
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)
    try:
        if "_ARGCOMPLETE" in os.environ:
            from iarbench.commands.completion import complete

            complete(parser())
        words = list(sys.argv[1:] if argv is None else argv)
        args = parser().parse_args([*words[1:], "--help"] if words[:1] == ["help"] else words)
        with shown_on(None if getattr(args, "quiet", False) else sys.stderr):
            status = importlib.import_module(f"iarbench.commands.{args.command}").execute(args)
        sys.stdout.flush()
        return int(status)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept. Re-run the same command to resume.", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader has left (`| head`): say nothing, and let no flush at exit complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        # The machine says no: disk full, no permission, not a folder.
        print(f"error: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        return 2
