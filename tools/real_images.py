"""The images of the real-image table of docs/results.md: the minis' own, and three sets of real ones treated alike.

    python tools/real_images.py PICTURES OUT
    iarbench run --task OUT/real-images.yaml --out runs/real-images

PICTURES holds imagenet_256.parquet (ILSVRC *train*, 700 of 1,000 classes), coco_256.parquet and
flickr_ccby_256.parquet: JPEG files of 256 x 256 pixels with the columns `image` and `source_sha256`, Flickr's with
`author_url` as well. OUT gets an image set and a task. Every real image is reduced to 64 x 64 in the same way; 300 of
each set are for calibration and 300 to test, by the hash of the file (Flickr: of its photographer, so that nobody is on
both sides). None of these images goes into the repository.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from iarbench.images.image_set import ImageSet
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord
from iarbench.models import variants

SETS = {"imagenet-train": ("imagenet_256", "source_sha256"), "coco": ("coco_256", "source_sha256")}
SETS |= {"flickr": ("flickr_ccby_256", "author_url")}
EACH = 300
TASK = """\
schema_version: 1
kind: provenance
name: real-images
version: 1
description: Six small IARs against ILSVRC train, COCO and Flickr photographs at 64 px, treated alike
targets: [llamagen-mini, var-mini, var-mini-s, rar-mini, taming-mini, infinity-mini]
images: {images}
real: [imagenet-train, coco, flickr]
attacks: [none, jpeg50]
detectors: [quantloss]
encoders: [inverse]
fpr: [0.01]
"""


def real(name: str, file: Path, by: str) -> Iterator[ImageRecord]:
    """600 images, half of them for each split; whole groups go to one side."""

    def rank(row: dict[str, Any]) -> str:
        return hashlib.sha256(f"{name} {row[by]}".encode()).hexdigest()

    rows = sorted(pq.read_table(file).to_pylist(), key=rank)
    treatment, split, taken = Preprocess(64), "calibration", 0
    for group, members in groupby(rows, key=rank):
        for row in members:
            image_id = f"{name}/{row['source_sha256'][:16]}"
            found = ImageRecord.make(row["image"]["bytes"], image_id=image_id, source=name, split=split, group=group)
            yield found.with_bytes(treatment(found.pil()), treatment.name)
            taken += 1
        if taken >= EACH:
            if split == "test":
                return
            split, taken = "test", 0


def generated() -> Iterator[ImageRecord]:
    """The packaged images of every mini."""
    names = [variant.name for variant in variants.minis()]
    for batch in ImageSet.open("iarbench-mini").filter(source=names, split=("test", "calibration")).iterate():
        yield from batch


def main(pictures: str, out: str) -> None:
    def every() -> Iterator[ImageRecord]:
        yield from generated()
        for name, (file, by) in SETS.items():
            yield from real(name, Path(pictures) / f"{file}.parquet", by)

    images = ImageSet.write(every(), Path(out) / "images")
    (Path(out) / "real-images.yaml").write_text(TASK.format(images=Path(out).resolve() / "images"))
    print(images.index().groupby(["source", "split"])["group"].agg(["size", "nunique"]).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
