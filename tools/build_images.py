"""Builds the frozen image set of the ``mini`` task.

    python tools/build_images.py --photos photos_free_64.parquet --out iarbench/data/iarbench-mini

Members are made here; photographs come from a Parquet file with the columns image, file, licence, author and
source_package (see data_cards/iarbench-mini.md). Both sides are 64 px squares in lossless WebP from one encoder. The
photographs are split by source photograph, never by crop.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from iarbench.images.decode import decode_rgb
from iarbench.images.image_set import ImageSet
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord
from iarbench.models import variants
from iarbench.models.loading import load_generator
from iarbench.models.sample_images import make_records

SIZE = 64
PHOTOS = "photos-free"
#: no licence text could be found for these
UNLICENSED = ("scipy",)
#: crops of one photograph are alike: more of them would add minutes and hardly any knowledge. Calibration has a third:
#: a threshold at 1 % FPR needs 132 images.
CROPS = {"test": 2, "calibration": 3}


def photographs(path: Path) -> Iterator[ImageRecord]:
    """Crops of every photograph with a known licence; half of the photographs, by hash of name, are calibration."""
    table = pq.read_table(path).to_pylist()
    rows = [row for row in table if not row["source_package"].startswith(UNLICENSED)]
    files = sorted({row["file"] for row in rows}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    calibration = set(files[: len(files) // 2])
    treat, taken = Preprocess(SIZE, "webp"), Counter[str]()
    for number, row in enumerate(rows):
        split = "calibration" if row["file"] in calibration else "test"
        taken[row["file"]] += 1
        if taken[row["file"]] > CROPS[split]:
            continue
        name = f"{PHOTOS}/{number:06d}"
        yield ImageRecord.make(
            treat(decode_rgb(row["image"]["bytes"], name)),
            image_id=name,
            source=PHOTOS,
            split=split,
            group=row["file"],
            condition=f"{row['licence']}; {row['author']}; {row['source_package']}",
            licence=row["licence"],
            author=row["author"],
        )


def members(test: int, calibration: int) -> Iterator[ImageRecord]:
    """Images of each generator in the package that is a mini."""
    for variant in variants.minis():
        generator = load_generator(variant.name)
        for split, count in (("test", test), ("calibration", calibration)):
            yield from make_records(generator, variant.name, split, count, variant.every_condition)


def main() -> None:
    """Write the set and say how large it became."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--test", type=int, default=40, help="test images of each generator")
    parser.add_argument("--calibration", type=int, default=20, help="calibration images of each generator")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    parts = (members(args.test, args.calibration), photographs(args.photos))
    images = ImageSet.write((record for part in parts for record in part), args.out)
    size = sum(file.stat().st_size for file in args.out.glob("*.parquet"))
    print(f"{len(images)} images, {size / 1e6:.1f} MB, fingerprint {images.fingerprint}")


if __name__ == "__main__":
    main()
