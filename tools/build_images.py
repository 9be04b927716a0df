"""Builds the frozen image set of the ``mini`` task.

    python tools/build_images.py --flickr flickr_ccby_64.parquet --wallpapers photos_free_64.parquet \\
        --out iarbench/data/iarbench-mini

Members are made here. Real images come from two Parquet files: photographs with the columns image, image_id, licence,
author, author_url, landing_url and label, and wallpapers with image, file, licence, author and source_package (see
data_cards/iarbench-mini.md). Everything is a 64 px square in lossless WebP from one encoder.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from iarbench.images.decode import decode_rgb
from iarbench.images.image_set import ImageSet
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord
from iarbench.models import variants
from iarbench.models.loading import load_sampler
from iarbench.models.sample_images import make_records

SIZE = 64
TREAT = Preprocess(SIZE, "webp")
#: images of each generator
MEMBERS = {"test": 250, "calibration": 150, "fit": 100}
#: photographs of the first two splits, at least; the rest is `fit`
PHOTOGRAPHS = {"test": 300, "calibration": 300}
#: crops of one wallpaper are alike: more of them would add minutes and hardly any knowledge. Calibration has a third:
#: a threshold at 1 % FPR needs 132 images.
CROPS = {"test": 2, "calibration": 3}
#: no licence text could be found for these
UNLICENSED = ("scipy",)


def flickr(path: Path) -> Iterator[ImageRecord]:
    """Photographs; a photographer's pictures, often of one place and hour, are one group and stay in one split."""
    rows = pq.read_table(path).to_pylist()
    split = _splits(Counter(row["author_url"] for row in rows))
    for row in sorted(rows, key=lambda row: row["image_id"]):
        name = f"flickr/{row['image_id']}"
        yield ImageRecord.make(
            TREAT(decode_rgb(row["image"]["bytes"], name)),
            image_id=name,
            source="flickr",
            split=split[row["author_url"]],
            group=row["author_url"],
            condition=str(row["label"]),
            licence=row["licence"],
            author=written_out(row["author"]),
            page=row["landing_url"],
        )


def written_out(name: str) -> str:
    r"""A name in which the list of photographs has octal escapes for the bytes of UTF-8 (`Fr\303\251d\303\251ric`)."""
    return re.sub(rb"\\([0-7]{3})", lambda escape: bytes([int(escape[1], 8)]), name.encode()).decode()


def _splits(photographs: Mapping[str, int]) -> dict[str, str]:
    """Photographer -> split: in the order of a hash, until a split has enough photographs."""
    wanted, found = dict(PHOTOGRAPHS), {}
    for name in sorted(photographs, key=_digest):
        split = next((split for split, count in wanted.items() if count > 0), "fit")
        found[name] = split
        wanted[split] = wanted.get(split, 0) - photographs[name]
    return found


def wallpapers(path: Path) -> Iterator[ImageRecord]:
    """Crops of every wallpaper with a known licence; half of the wallpapers, by hash of name, are calibration."""
    rows = [row for row in pq.read_table(path).to_pylist() if not row["source_package"].startswith(UNLICENSED)]
    files = sorted({row["file"] for row in rows}, key=_digest)
    calibration = set(files[: len(files) // 2])
    taken = Counter[str]()
    for number, row in enumerate(rows):
        split = "calibration" if row["file"] in calibration else "test"
        taken[row["file"]] += 1
        if taken[row["file"]] <= CROPS[split]:
            yield _wallpaper(row, f"wallpapers/{number:06d}", split)


def _wallpaper(row: Mapping[str, Any], name: str, split: str) -> ImageRecord:
    return ImageRecord.make(
        TREAT(decode_rgb(row["image"]["bytes"], name)),
        image_id=name,
        source="wallpapers",
        split=split,
        group=row["file"],
        licence=row["licence"],
        author=row["author"],
        page=row["source_package"],
    )


def members() -> Iterator[ImageRecord]:
    """Images of every generator in the package that is a mini, made on all cores."""
    parts = [(variant.name, split) for variant in variants.minis() for split in MEMBERS]
    with get_context("spawn").Pool(initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for records in pool.imap(_members, parts):
            yield from records


def _members(part: tuple[str, str]) -> list[ImageRecord]:
    name, split = part
    every_condition = variants.get(name).every_condition
    return list(make_records(load_sampler(name), name, split, MEMBERS[split], every_condition))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def main() -> None:
    """Write the set and say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flickr", type=Path, required=True)
    parser.add_argument("--wallpapers", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    parts = (members(), flickr(args.flickr), wallpapers(args.wallpapers))
    images = ImageSet.write((record for part in parts for record in part), args.out)
    size = sum(file.stat().st_size for file in args.out.glob("*.parquet"))
    print(f"{len(images)} images, {size / 1e6:.1f} MB, fingerprint {images.fingerprint}")


if __name__ == "__main__":
    main()
