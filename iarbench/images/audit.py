"""What is wrong with an image set by its small columns alone: empty cells, and one file under two roles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from iarbench.images.shards import NEEDED


def empty_cells(table: pa.Table) -> list[str]:
    """A line for each column that may not be null or "" and is: "2 images have no source (the first: a/1)"."""
    lines = []
    for column in NEEDED:
        empty = pc.fill_null(pc.equal(table.column(column), ""), True)
        count = pc.sum(empty).as_py() or 0
        if count:
            row = pc.index(empty, True).as_py()
            name = table.column("image_id")[row].as_py() or f"row {row}"
            lines.append(f"{_images(count)} no {column} (the first: {name})")
    return lines


def shared_files(
    ids: Sequence[str], sha256s: Sequence[str], sources: Sequence[str], splits: Sequence[str]
) -> list[str]:
    """A line for each two parts (source/split) that hold the same files, byte for byte; arguments row by row.

    Such images count as member and as non-member at once, or set the threshold that they are then measured with.
    """
    holders: dict[str, dict[str, str]] = {}
    for image_id, sha256, source, split in zip(ids, sha256s, sources, splits, strict=True):
        holders.setdefault(sha256, {}).setdefault(f"{source}/{split}", image_id)
    pairs: dict[tuple[str, str], list[str]] = {}
    for parts in holders.values():
        for first, second in _pairs(sorted(parts)):
            pairs.setdefault((first, second), []).append(f"{parts[first]} and {parts[second]}")
    return [
        f"{len(found)} {'image is' if len(found) == 1 else 'images are'} the same file in {first} and in {second} "
        f"(the first: {found[0]})"
        for (first, second), found in sorted(pairs.items())
    ]


def _pairs(names: list[str]) -> Iterable[tuple[str, str]]:
    return ((first, second) for place, first in enumerate(names) for second in names[place + 1 :])


def _images(count: int) -> str:
    return f"{count} image has" if count == 1 else f"{count} images have"
