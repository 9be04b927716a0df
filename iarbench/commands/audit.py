"""``iarbench audit``: what is wrong with image sets, before a detector learns it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from iarbench.commands import options

EXAMPLES = """  iarbench audit sets/mine
  iarbench audit sets/made sets/photos --page audit.html     sets that are compared with each other, with pictures
  iarbench audit iarbench-mini --json
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Read every image of some sets and name: damaged files; the same file, the same picture (also compressed "
        "again, resized or mirrored) and the same group in two splits or sources; properties that tell generated "
        "images from others without any model; licences that forbid to publish; classes that are not balanced. The "
        "exit status is 1 for damage or a leak."
    )
    parser = options.add_command(subparsers, "audit", "find leaks and damage in image sets", description, EXAMPLES)
    parser.add_argument("sets", nargs="+", metavar="SET", help=options.SET_HELP)
    parser.add_argument("--page", type=Path, metavar="FILE", help="also write a page with pictures, .html")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def execute(args: argparse.Namespace) -> int:
    """Look, tell, draw; 1 for damage or a leak."""
    from iarbench.audit.report import audit

    options.require_new_file(args.page, "--page")
    found = audit(args.sets, quiet=args.json)
    if args.page is not None:
        from iarbench.audit.page import page
        from iarbench.files import write_text

        write_text(args.page, page(found))
    print(json.dumps(found.as_json()) if args.json else "\n".join(found.lines()))
    if args.page is not None:
        options.say(f"page: {args.page}", quiet=args.json)
    elif not args.json:
        options.say("with pictures: --page audit.html")
    return 0 if found.verdict == "clean" else 1
