"""Which images a gallery holds: k per class, drawn by seed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from iarbench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def draw(index: pd.DataFrame, k: int, seed: int) -> dict[str, list[str]]:
    """Source -> ids of its k images with the lowest hash of seed, source and id, sources sorted.

    Of a group (the crops of a photograph, a photographer) one image at most is drawn while other groups remain. The
    gallery of k images is part of that of more, and the draw of one source does not depend on the others.

    Args:
        index: rows of `ImageSet.index` to draw from.

    Raises:
        UserError: a source has fewer than k images.
    """
    drawn = {}
    for source, rows in index.groupby("source", sort=True):
        if len(rows) < k:
            raise UserError(f"a gallery of {k} images per class: {source} has only {len(rows)} to draw from; lower k")
        pairs = sorted(zip(rows["image_id"], rows["group"], strict=True), key=lambda pair: _rank(seed, source, pair[0]))
        seen: set[str] = set()
        first: list[str] = []
        later: list[str] = []
        for image_id, group in pairs:
            (later if group in seen else first).append(image_id)
            seen.add(group)
        drawn[str(source)] = (first + later)[:k]
    return drawn


def sides(sources: Iterable[str], real: Collection[str], generated: Collection[str]) -> Mapping[str, bool]:
    """Source -> whether it is real. Sources named like a known generator are not; any other has to be named.

    Raises:
        UserError: a source that nobody named, or a name that is no source or stands on both sides.
    """
    from iarbench.models import variants

    present = sorted(set(sources))
    for name in (*real, *generated):
        if name not in present:
            raise UserError(f"no images of {name!r} here; sources: {', '.join(present)}")
    if both := sorted(set(real) & set(generated)):
        raise UserError(f"{both[0]!r} cannot be both real and generated")
    known = {*generated, *variants.names()}
    for source in present:
        if source not in real and source not in known:
            raise UserError(
                f"{source!r} is no generator that iarbench knows: write --real {source} if its images are real, "
                f"--generated {source} if they are not"
            )
    return {source: source in real for source in present}


def _rank(seed: int, source: object, image_id: str) -> str:
    return hashlib.sha256(f"{seed}\0{source}\0{image_id}".encode("utf-8", "surrogatepass")).hexdigest()
