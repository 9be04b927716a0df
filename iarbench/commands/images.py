"""``iarbench images``: import images into a set, join sets, check a set, describe a set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from iarbench.commands import images_import, options
from iarbench.errors import UserError

EXAMPLES = """  iarbench images import photos/ --out sets/photos --size 256
  iarbench images import photos.parquet --out sets/photos --size 256 --split calibration --label-column caption
  iarbench images import iarbench-mini --out sets/small --size 32        a set keeps all its columns
  iarbench images import imagenet:ILSVRC2012_img_val --limit 1000 --out sets/imagenet --size 256
  iarbench images import coco:coco/val2017 --out sets/coco --size 256          captions from coco/annotations
  iarbench images import raise-1k:RAISE_1k.csv --files raise --out sets/raise --size 256
  iarbench images import uploads/ --launch local --out sets/uploads --size 256         a process a core
  iarbench images import hub:owner/name --hub-split test --out sets/theirs --size 256
  iarbench images lock sets/photos --out photos.jsonl          a list by which others make the same set
  iarbench images import their-copy/ --lock photos.jsonl --out sets/same
  iarbench images join sets/photos sets/coco --out sets/real
  iarbench images pull hf:owner/name --out sets/theirs               download, and compare the fingerprint
  iarbench images verify sets/photos         read everything, compare with the stored hashes
  iarbench images info iarbench-mini
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command and its actions to the command line."""
    description = "Image sets: Parquet files with the original bytes, which datasets.load_dataset opens as well."
    parser = options.add_command(
        subparsers, "images", "import, join, verify or describe image sets", description, EXAMPLES
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = options.add_command(actions, "import", "make a set from a folder, Parquet or the Hub", "", EXAMPLES)
    images_import.add_options(make)
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


def execute(args: argparse.Namespace) -> int:
    """Do one of them; 1 when an image could not be used or a problem was found."""
    actions = {
        "import": images_import.execute,
        "lock": _lock,
        "join": _join,
        "pull": _pull,
        "verify": _verify,
        "info": _info,
    }
    return actions[args.action](args)


def _lock(args: argparse.Namespace) -> int:
    from iarbench.content import images_path
    from iarbench.images.image_set import ImageSet
    from iarbench.images.lock import Lock

    options.require_new_file(args.out, "--out")
    lock = Lock.of(ImageSet.open(images_path(args.path)), args.path)
    lock.write(args.out)
    print(f"{args.out}: {len(lock.images)} images, {args.out.stat().st_size / 1000:.0f} kB")
    return 0


def _join(args: argparse.Namespace) -> int:
    from iarbench.content import images_path
    from iarbench.images.image_set import ImageSet
    from iarbench.images.join import join

    if len(args.paths) < 2:
        raise UserError("images join: give two or more sets")
    options.require_new_set(args.out)
    sets = [ImageSet.open(images_path(path)) for path in args.paths]
    written = ImageSet.write(images_import.counted(join(sets, args.paths, args.prefix)), args.out)
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
