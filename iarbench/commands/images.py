"""``iarbench images``: import images into a set, check a set, describe a set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.commands import options

if TYPE_CHECKING:
    from iarbench.images.record import ImageRecord
    from iarbench.images.sources import ImportReport

EXAMPLES = """  iarbench images import photos/ --out sets/photos --size 256 --source photos
  iarbench images import photos.parquet --out sets/photos --size 256 --split calibration
  iarbench images import coco --limit 5000 --out sets/coco --size 256
  iarbench images import hub:owner/name --out sets/theirs --size 256
  iarbench images verify sets/photos         read everything, compare with the stored hashes
  iarbench images info iarbench-mini
"""


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command and its three actions to the command line."""
    description = "Image sets: Parquet files with the original bytes, which datasets.load_dataset opens as well."
    parser = options.add_command(subparsers, "images", "import, verify or describe image sets", description, EXAMPLES)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    bring = options.add_command(actions, "import", "make a set from a folder, Parquet or the Hub", "", EXAMPLES)
    bring.add_argument("src", metavar="SRC", help="folder, Parquet, or SOURCE[:WHERE] of `iarbench ls sources`")
    bring.add_argument("--out", type=Path, required=True, help="new folder for the image set")
    bring.add_argument("--size", type=options.positive, metavar="S", help="resize and crop all to S x S, lossless")
    bring.add_argument("--container", choices=["webp", "png"], default="webp", help="file format with --size")
    bring.add_argument("--source", metavar="NAME", help="name of the set; default: that of the folder, file or source")
    bring.add_argument("--split", default="test", help="test, calibration, train, ...")
    bring.add_argument("--limit", type=options.positive, metavar="N", help="only N rows of a set on the Hub")
    check = options.add_command(actions, "verify", "read a set and name every problem", "", EXAMPLES)
    check.add_argument("path", metavar="SET", help="a name, a path or hf:owner/name@revision")
    tell = options.add_command(actions, "info", "sizes, sources and fingerprint of a set", "", EXAMPLES)
    tell.add_argument("path", metavar="SET", help="a name, a path or hf:owner/name@revision")
    tell.add_argument("--json", action="store_true", help="as one JSON object")


def execute(args: argparse.Namespace) -> int:
    """Do one of the three; 1 when an image could not be used or a problem was found."""
    return {"import": _import, "verify": _verify, "info": _info}[args.action](args)


def _import(args: argparse.Namespace) -> int:
    from iarbench.images.image_set import ImageSet
    from iarbench.images.sources import ImportReport

    report = ImportReport()
    written = ImageSet.write(_records(args, report), args.out)
    for line in report.notes:
        options.say(f"note: {line}")
    for line in report.skipped:
        options.say(f"skipped: {line}")
    print(f"{args.out}: {len(written)} images, {len(report.skipped)} skipped, fingerprint {written.fingerprint[:12]}")
    return 1 if report.skipped else 0


def _records(args: argparse.Namespace, report: ImportReport) -> Iterator[ImageRecord]:
    from iarbench.images.preprocess import Preprocess
    from iarbench.registry import SOURCES

    how: dict[str, Any] = {"split": args.split, "report": report}
    how["preprocess"] = Preprocess(args.size, args.container) if args.size else None
    path = Path(args.src)
    if path.exists():
        parquet = path.is_file() or any(path.glob("*.parquet"))
        return SOURCES.get("parquet" if parquet else "folder")(path, source=args.source or path.stem, **how)
    name, _, where = args.src.partition(":")
    if args.source or name in ("folder", "parquet", "hub"):
        how["source"] = args.source or Path(where).stem
    if args.limit:
        how["limit"] = args.limit
    return SOURCES.get(name)(*([where] if where else []), **how)


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
        }
        for (source, split), rows in index.groupby(["source", "split"])
    ]
    found = {"images": len(images), "fingerprint": images.fingerprint, "parts": parts}
    if args.json:
        print(json.dumps(found))
        return 0
    print(f"{args.path}: {len(images)} images, fingerprint {images.fingerprint}")
    for part in parts:
        units = "" if part["groups"] == part["images"] else f" in {part['groups']} groups"
        print(f"  {part['source']}/{part['split']}: {part['images']} images{units}, {part['sizes']}, {part['formats']}")
    return 0


def _some(values: Any) -> str:
    """The values that occur, the most frequent three by name."""
    from collections import Counter

    counts = Counter(values).most_common()
    more = f" and {len(counts) - 3} more" if len(counts) > 3 else ""
    return "/".join(str(value) for value, _ in counts[:3]) + more
