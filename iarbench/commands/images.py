"""``iarbench images``: import images into a set, join sets, check a set, describe a set."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.images.importing import ImportReport
    from iarbench.images.preprocess import Preprocess
    from iarbench.images.record import ImageRecord

EXAMPLES = """  iarbench images import photos/ --out sets/photos --size 256
  iarbench images import photos.parquet --out sets/photos --size 256 --split calibration --label-column caption
  iarbench images import iarbench-mini --out sets/small --size 32        a set keeps all its columns
  iarbench images import imagenet:ILSVRC2012_img_val --limit 1000 --out sets/imagenet --size 256
  iarbench images import coco:coco/val2017 --out sets/coco --size 256          captions from coco/annotations
  iarbench images import raise-1k:RAISE_1k.csv --files raise --out sets/raise --size 256
  iarbench images import hub:owner/name --hub-split test --out sets/theirs --size 256
  iarbench images lock sets/photos --out photos.jsonl          a list by which others make the same set
  iarbench images import their-copy/ --lock photos.jsonl --out sets/same
  iarbench images join sets/photos sets/coco --out sets/real
  iarbench images pull hf:owner/name --out sets/theirs               download, and compare the fingerprint
  iarbench images verify sets/photos         read everything, compare with the stored hashes
  iarbench images info iarbench-mini
"""
OF_A_SOURCE = (
    *("image_column", "id_column", "label_column", "group_column", "url_column"),
    *("files", "caption_seed", "config", "hub_split", "revision"),
)
"""Options that a source takes, or refuses, itself."""
SHOWN = 5
"""Lines for each reason, before the rest of them is only counted."""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command and its actions to the command line."""
    description = "Image sets: Parquet files with the original bytes, which datasets.load_dataset opens as well."
    parser = options.add_command(
        subparsers, "images", "import, join, verify or describe image sets", description, EXAMPLES
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_import(options.add_command(actions, "import", "make a set from a folder, Parquet or the Hub", "", EXAMPLES))
    join = options.add_command(actions, "join", "make one set of several", "", EXAMPLES)
    join.add_argument("paths", nargs="+", metavar="SET", help=f"two or more: {options.SET_HELP}")
    join.add_argument("--out", type=Path, required=True, help="new folder for the image set")
    join.add_argument(
        "--prefix", action="append", default=[], help="for the ids of a set; once for each, in their order"
    )
    lock = options.add_command(actions, "lock", "write a pinned list: ids, hashes, treatment", "", EXAMPLES)
    lock.add_argument("path", metavar="SET", help=options.SET_HELP)
    lock.add_argument("--out", type=Path, required=True, help="file for the lock, .jsonl")
    pull = options.add_command(actions, "pull", "download a set from the Hub and verify it", "", EXAMPLES)
    pull.add_argument("path", metavar="SET", help="hf:owner/name@revision; without a revision, the newest")
    pull.add_argument("--out", type=Path, help="new folder for a copy; default: it stays in the Hugging Face cache")
    pull.add_argument("--fingerprint", metavar="HEX", help="what it must be, such as a paper states; 12 digits or more")
    check = options.add_command(actions, "verify", "read a set and name every problem", "", EXAMPLES)
    check.add_argument("path", metavar="SET", help=options.SET_HELP)
    tell = options.add_command(actions, "info", "sizes, sources, licences and fingerprint of a set", "", EXAMPLES)
    tell.add_argument("path", metavar="SET", help=options.SET_HELP)
    tell.add_argument("--json", action="store_true", help="as one JSON object")


def _add_import(parser: argparse.ArgumentParser) -> None:
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
    _add_origin(parser)


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
    """Do one of them; 1 when an image could not be used or a problem was found."""
    actions = {"import": _import, "lock": _lock, "join": _join, "pull": _pull, "verify": _verify, "info": _info}
    return actions[args.action](args)


def _import(args: argparse.Namespace) -> int:
    from iarbench.images.image_set import ImageSet
    from iarbench.images.importing import ImportReport, Treatment
    from iarbench.images.sources import open_source

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
        records = open_source(args.src, treatment, report, read_as=args.read_as, **own)
        first = next(records, None)
        if first is None:
            raise UserError(f"{args.src}: no image could be used: {report.summary() or 'there is none'}")
        written = ImageSet.write(_counted(chain([first], records)), args.out)
    finally:
        _show(report)
    print(f"{args.out}: {len(written)} images, {len(report.skipped)} skipped, fingerprint {written.fingerprint[:12]}")
    return 1 if report.skipped else 0


def _import_locked(args: argparse.Namespace, own: dict[str, Any], report: ImportReport) -> int:
    from iarbench.content import lock_path
    from iarbench.images.image_set import ImageSet
    from iarbench.images.lock import Lock
    from iarbench.images.locked_import import LockMismatchError, make_locked
    from iarbench.images.sources import find_images

    for option in ("size", "geometry", "container", "source", "split", "limit", "skip", "prefix"):
        if getattr(args, option):
            raise UserError(f"--lock and --{option} do not go together: the lock says what is in the set")
    lock = Lock.read(lock_path(args.lock))
    found, _ = find_images(args.src, report, read_as=args.read_as, **own)
    try:
        written = ImageSet.write(_counted(make_locked(found, lock)), args.out)
    except LockMismatchError as error:
        print("\n".join(error.lines))
        options.say(f"{args.src}: {error}")
        return 1
    print(f"{args.out}: {len(written)} images as in {args.lock}, fingerprint {written.fingerprint[:12]}")
    return 0


def _lock(args: argparse.Namespace) -> int:
    from iarbench.content import images_path
    from iarbench.images.image_set import ImageSet
    from iarbench.images.lock import Lock

    options.require_new_file(args.out, "--out")
    lock = Lock.of(ImageSet.open(images_path(args.path)), args.path)
    lock.write(args.out)
    print(f"{args.out}: {len(lock.images)} images, {args.out.stat().st_size / 1000:.0f} kB")
    return 0


def _preprocess(args: argparse.Namespace) -> Preprocess | None:
    from iarbench.images.preprocess import Preprocess

    if args.size:
        return Preprocess(args.size, args.container or "webp", args.geometry or "crop")
    if args.geometry:
        raise UserError(f"--geometry {args.geometry} needs --size: the side of the square in pixels")
    return Preprocess(None, args.container, "native") if args.container else None


def _counted(records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
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


def _join(args: argparse.Namespace) -> int:
    from iarbench.content import images_path
    from iarbench.images.image_set import ImageSet
    from iarbench.images.join import join

    if len(args.paths) < 2:
        raise UserError("images join: give two or more sets")
    options.require_new_set(args.out)
    sets = [ImageSet.open(images_path(path)) for path in args.paths]
    written = ImageSet.write(_counted(join(sets, args.paths, args.prefix)), args.out)
    for line in written.shared_files():
        options.say(f"note: {line}")
    print(f"{args.out}: {len(written)} images of {len(sets)} sets, fingerprint {written.fingerprint[:12]}")
    return 0


def _pull(args: argparse.Namespace) -> int:
    from iarbench.publishing.pull import pull

    if args.out is not None:
        options.require_new_set(args.out)
    pulled = pull(args.path, args.out, args.fingerprint)
    if not pulled.stated:
        options.say(f"note: {args.path} states no fingerprint; give the one you expect with --fingerprint")
    where = pulled.folder if args.out is not None else pulled.name
    print(f"{where}: {len(pulled.images)} images of {pulled.name}, fingerprint {pulled.images.fingerprint}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from iarbench.content import images_path
    from iarbench.images.image_set import ImageSet

    images = ImageSet.open(images_path(args.path), complete=False)
    problems = images.verify()
    for problem in problems:
        print(problem)
    options.say(f"{args.path}: {len(images)} images, {len(problems)} problems")
    return 1 if problems else 0


def _info(args: argparse.Namespace) -> int:
    from iarbench.content import images_path
    from iarbench.images.image_set import ImageSet

    images = ImageSet.open(images_path(args.path))
    index = images.index()
    parts = [
        {
            "source": source,
            "split": split,
            "images": len(rows),
            "groups": int(rows["group"].nunique()),
            "sizes": _some(f"{width}x{height}" for width, height in zip(rows["width"], rows["height"], strict=True)),
            "formats": _some(rows["format"]),
            "licences": _some(rows["licence"].dropna()),
        }
        for (source, split), rows in index.groupby(["source", "split"])
    ]
    shared = images.shared_files()
    found = {"images": len(images), "fingerprint": images.fingerprint, "parts": parts, "shared_files": shared}
    if args.json:
        print(json.dumps(found))
        return 0
    print(f"{args.path}: {len(images)} images, fingerprint {images.fingerprint}")
    for part in parts:
        units = "" if part["groups"] == part["images"] else f" in {part['groups']} groups"
        licences = f", licence {part['licences']}" if part["licences"] else ""
        sizes = f"{part['sizes']}, {part['formats']}{licences}"
        print(f"  {part['source']}/{part['split']}: {part['images']} images{units}, {sizes}")
    for line in shared:
        options.say(f"note: {line}")
    return 0


def _some(values: Any) -> str:
    """The values that occur, the most frequent three by name."""
    from collections import Counter

    counts = Counter(values).most_common()
    more = f" and {len(counts) - 3} more" if len(counts) > 3 else ""
    return "/".join(str(value) for value, _ in counts[:3]) + more
