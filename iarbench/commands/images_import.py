"""``iarbench images import``: images from wherever they are into a new image set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.commands import options
from iarbench.commands.launch_options import add_launch, launch
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.harness.launch.engine import Launch
    from iarbench.images.image_set import ImageSet
    from iarbench.images.importing import ImportReport, Treatment
    from iarbench.images.preprocess import Preprocess
    from iarbench.images.record import ImageRecord

OF_A_SOURCE = (
    *("image_column", "id_column", "label_column", "group_column", "url_column"),
    *("files", "caption_seed", "config", "hub_split", "revision"),
)
"""Options that a source takes, or refuses, itself."""
SHOWN = 5
"""Lines for each reason, before the rest of them is only counted."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Its options, for `execute`."""
    parser.add_argument(
        "src", metavar="SRC", help="folder, Parquet, image set, or NAME[:WHERE] of `iarbench ls sources`"
    )
    parser.add_argument("--out", type=Path, required=True, help="new folder for the image set")
    help = "exactly the images of this lock, known by the SHA-256 of their files: a file, or the name of a packaged one"
    parser.add_argument("--lock", metavar="FILE", help=help)
    _add_treatment(parser)
    parser.add_argument(
        "--source", metavar="NAME", help="name of the set; default: as in SRC, else that of the folder or file"
    )
    parser.add_argument("--split", help="test, calibration, fit, train, ...; default: as in SRC, else test")
    parser.add_argument("--limit", type=options.positive, metavar="N", help="only the first N images")
    help = "leave out the first N, such as those that another split was made of"
    parser.add_argument("--skip", type=options.not_negative, default=0, metavar="N", help=help)
    parser.add_argument("--prefix", default="", metavar="TEXT", help="put before every image id, as it is")
    parser.add_argument(
        "--as", dest="read_as", choices=["folder", "parquet"], help="how to read a folder that holds both"
    )
    help = "images of a file of the set; with --launch also the most that a kill can cost; default: 1000"
    parser.add_argument("--shard", type=options.positive, default=1000, metavar="N", help=help)
    _add_origin(parser)
    add_launch(parser)


def _add_treatment(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("treatment", "the same for all images; without it files stay as they are")
    group.add_argument("--size", type=options.positive, metavar="S", help="bring all to S x S pixels")
    help = "with --size: shorter side to S and centre crop (crop, the default), or both sides to S (squash)"
    group.add_argument("--geometry", choices=["crop", "squash"], help=help)
    help = "file format: without loss (webp, the default with --size; png), or JPEG of quality 96"
    group.add_argument("--container", choices=["webp", "png", "jpeg96"], help=help)


def _add_origin(parser: argparse.ArgumentParser) -> None:
    columns = parser.add_argument_group("columns of Parquet files, of lists and of sets on the Hub")
    columns.add_argument("--image-column", metavar="C", help="default: the one that holds images")
    columns.add_argument("--id-column", metavar="C", help="default: file and row")
    columns.add_argument(
        "--label-column", metavar="C", help="class or prompt; default: the one with class names, or label"
    )
    columns.add_argument("--group-column", metavar="C", help="one unit in statistics, such as the photograph of a crop")
    columns.add_argument("--url-column", metavar="C", help="addresses in a list of images; default: url")
    own = parser.add_argument_group("lists and COCO")
    own.add_argument("--files", metavar="DIR", help="downloaded files of a list (laion-pop, raise-1k, list)")
    help = "another seed, other captions of COCO's images; default: 0"
    own.add_argument("--caption-seed", type=options.not_negative, metavar="N", help=help)
    hub = parser.add_argument_group("sets on the Hub")
    hub.add_argument("--config", metavar="NAME", help="configuration of the repository, where it has several")
    hub.add_argument("--hub-split", metavar="NAME", help="split of the repository; default: train")
    hub.add_argument("--revision", metavar="R", help="branch, tag or commit; default: the newest")


def execute(args: argparse.Namespace) -> int:
    """Import; 1 when an image could not be used."""
    from iarbench.images.importing import ImportReport, Treatment

    engine = launch(args)
    for option in ("source", "split"):
        if getattr(args, option) == "":
            raise UserError(f"--{option} is empty: give a name, or leave it out")
    options.require_new_set(args.out)
    report = ImportReport()
    treatment = Treatment(args.source, args.split, args.prefix, _preprocess(args), args.limit, args.skip)
    own = {name: getattr(args, name) for name in OF_A_SOURCE}
    if args.lock is not None:
        return _import_locked(args, own, report)
    try:
        if engine is None:
            written = _import_here(args, treatment, own, report)
        else:
            written, report = _import_elsewhere(args, treatment, own, engine)
        if written is None:
            raise UserError(f"{args.src}: no image could be used: {report.summary() or 'there is none'}")
    finally:
        _show(report)
    print(f"{args.out}: {len(written)} images, {len(report.skipped)} skipped, fingerprint {written.fingerprint[:12]}")
    return 1 if report.skipped else 0


def _import_here(
    args: argparse.Namespace, treatment: Treatment, own: dict[str, Any], report: ImportReport
) -> ImageSet | None:
    from iarbench.images.image_set import ImageSet
    from iarbench.images.sources import open_source

    records = open_source(args.src, treatment, report, read_as=args.read_as, **own)
    if (first := next(records, None)) is None:
        return None
    return ImageSet.write(counted(chain([first], records)), args.out, args.shard)


def _import_elsewhere(
    args: argparse.Namespace, treatment: Treatment, own: dict[str, Any], engine: Launch
) -> tuple[ImageSet | None, ImportReport]:
    from iarbench.harness.launch.import_work import Import
    from iarbench.harness.launch.order import command_line

    asked = Import(args.src, args.read_as, own, treatment, args.shard)
    return asked.make(args.out, engine, sys.stderr, command_line())


def _import_locked(args: argparse.Namespace, own: dict[str, Any], report: ImportReport) -> int:
    from iarbench.content import lock_path
    from iarbench.images.image_set import ImageSet
    from iarbench.images.lock import Lock
    from iarbench.images.locked_import import LockMismatchError, make_locked
    from iarbench.images.sources import find_images

    for option in ("size", "geometry", "container", "source", "split", "limit", "skip", "prefix"):
        if getattr(args, option):
            raise UserError(f"--lock and --{option} do not go together: the lock says what is in the set")
    if args.launch is not None:
        raise UserError("--lock and --launch do not go together: one process looks for what the lock lists")
    lock = Lock.read(lock_path(args.lock))
    found, _ = find_images(args.src, report, read_as=args.read_as, **own)
    try:
        written = ImageSet.write(counted(make_locked(found, lock)), args.out, args.shard)
    except LockMismatchError as error:
        print("\n".join(error.lines))
        options.say(f"{args.src}: {error}")
        return 1
    print(f"{args.out}: {len(written)} images as in {args.lock}, fingerprint {written.fingerprint[:12]}")
    return 0


def _preprocess(args: argparse.Namespace) -> Preprocess | None:
    from iarbench.images.preprocess import Preprocess

    if args.size:
        return Preprocess(args.size, args.container or "webp", args.geometry or "crop")
    if args.geometry:
        raise UserError(f"--geometry {args.geometry} needs --size: the side of the square in pixels")
    return Preprocess(None, args.container, "native") if args.container else None


def counted(records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
    """The records, with a line now and then that says how many there were."""
    from iarbench.progress import Progress

    with Progress("importing", None, stream=sys.stderr) as progress:
        for record in records:
            yield record
            progress.advance(1)


def _show(report: ImportReport) -> None:
    for line in report.notes[:SHOWN]:
        options.say(f"note: {line}")
    if len(report.notes) > SHOWN:
        options.say(f"note: and {len(report.notes) - SHOWN} more such notes")
    for reason, lines in report.by_reason.items():
        for line in lines[:SHOWN]:
            options.say(f"skipped: {line}")
        if len(lines) > SHOWN:
            options.say(f"skipped: and {len(lines) - SHOWN} more: {reason}")
    if len(report.by_reason) > 1:
        options.say(f"skipped {len(report.skipped)}: {report.summary()}")
