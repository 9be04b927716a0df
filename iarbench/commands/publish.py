"""``iarbench publish``: an image set or a trained generator as a repository of the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.hub_upload import Kind
    from iarbench.publishing.sending import Sending

EXAMPLES = """  iarbench publish sets/mine --repo me/my-images --dry-run --out look     look at it first
  iarbench publish sets/mine --repo me/my-images --private
  iarbench publish sets/mine --repo me/my-images --licence photos=CC-BY-4.0 --notes notes.md
  iarbench publish --generator mine --repo me/my-model
Others then write:
  iarbench images pull hf:me/my-images --out sets/theirs
  iarbench generate --generator hf:me/my-model --count 100 --out sets/made
Log in once with `hf auth login`, or set HF_TOKEN. The same command again sends what is missing.
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Publish an image set: shards, a card, configurations by source. Images whose licence does not allow it are "
        "listed by hash instead, so that others can make the same set from their own files. Or publish a generator."
    )
    parser = options.add_command(subparsers, "publish", "publish an image set or a generator", description, EXAMPLES)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("set", nargs="?", metavar="SET", help=options.SET_HELP)
    what.add_argument("--generator", metavar="NAME", help="a generator with files of its own instead of a set")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="the repository; it is made if needed")
    parser.add_argument("--private", action="store_true", help="make it private")
    parser.add_argument("--dry-run", action="store_true", help="do everything but sending")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder that keeps what is sent, to look at")
    parser.add_argument(
        "--licence",
        action="append",
        default=[],
        metavar="SOURCE=LICENCE",
        help="for images of a source that state none, such as photos=CC-BY-4.0; once for each source",
    )
    parser.add_argument("--notes", type=Path, metavar="FILE", help="Markdown for the end of the card")


def execute(args: argparse.Namespace) -> int:
    """Stage, show, send."""
    from iarbench.hub import require_repository_name
    from iarbench.specs import read_text

    require_repository_name(args.repo, "--repo", "me/my-images")
    notes = read_text(args.notes, f"--notes {args.notes}") if args.notes is not None else ""
    if args.generator is None:
        from iarbench.publishing.publish_set import publish_set

        lines = publish_set(args.set, _licences(args.licence), notes, _how(args, "dataset"))
    else:
        from iarbench.publishing.publish_model import publish_model

        if args.licence:
            raise UserError("--licence is for image sets; a generator's licence stands in its description")
        lines = publish_model(args.generator, notes, _how(args, "model"))
    for line in lines:
        print(line)
    return 0


def _how(args: argparse.Namespace, kind: Kind) -> Sending:
    from iarbench.hub_upload import Repository
    from iarbench.publishing.sending import Sending

    return Sending(Repository(args.repo, kind, args.private), args.dry_run, args.out)


def _licences(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        source, equals, licence = one.partition("=")
        if not (source and equals and licence.strip()):
            raise UserError(f"--licence {one}: write SOURCE=LICENCE, such as photos=CC-BY-4.0")
        found[source] = licence.strip()
    return found
