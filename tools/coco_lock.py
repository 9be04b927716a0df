"""Write the packaged lock of 700 COCO photographs from a table of their hashes.

    python tools/coco_lock.py TABLE.parquet

The table has a row per photograph: coco_id, source_sha256 (of the official JPEG), license, license_url, flickr_url. The
lock lists the originals as they are, half of them (by hash) for calibration; no picture is read.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq

from iarbench.images.coco_source import short_licence
from iarbench.images.lock import Lock, LockedImage

OUT = Path(__file__).parent.parent / "iarbench/data/locks/coco-700.jsonl"
COLUMNS = ["coco_id", "source_sha256", "license", "license_url", "flickr_url"]


def main(table: str) -> None:
    rows = sorted(pq.read_table(table, columns=COLUMNS).to_pylist(), key=lambda row: row["source_sha256"])
    images = []
    for place, row in enumerate(rows):
        image_id, sha256 = f"{row['coco_id']:012}", row["source_sha256"]
        images.append(
            LockedImage(
                image_id=image_id,
                source_sha256=sha256,
                sha256=sha256,
                source="coco",
                split="test" if place % 2 else "calibration",
                group=image_id,
                licence=short_licence(row["license"], row["license_url"]),
                page=row["flickr_url"],
            )
        )
    images.sort(key=lambda one: one.image_id)
    Lock(tuple(images), {}).write(OUT)
    print(f"{OUT}: {len(images)} images, {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
