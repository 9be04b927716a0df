"""Stored scores brought to the places of their images, a part at a time: 9 bytes per image, whatever its name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain

import numpy as np
import pyarrow as pa

from iarbench.errors import UserError
from iarbench.images.compact import one_piece
from iarbench.results.image_index import ImageIndex
from iarbench.results.known import Known
from iarbench.results.quality import Left, left
from iarbench.stats.thresholds import FloatArray


def known_of(tables: Iterable[pa.Table], index: ImageIndex, whose: str, attack_version: int) -> Known | None:
    """Scores from tables (image_id, sha256, score, seconds); those of other bytes do not count; None without any.

    Raises:
        UserError: an image has two.
    """
    scores, there = np.full(len(index), np.nan), np.zeros(len(index), dtype=bool)
    seconds: list[FloatArray] = []
    for table in tables:
        places = index.places(*(one_piece(table.column(name)) for name in ("image_id", "sha256")))
        current = np.flatnonzero(places >= 0)
        places = places[current]
        again = there[places]
        there[places] = True
        if again.any() or len(twice := _twice(places)):
            (name,) = index.ids(places[again][:1] if again.any() else twice)
            raise UserError(f"{whose}: image {name} has two scores; use a fresh --out folder")
        scores[places] = table.column("score").to_numpy()[current]
        seconds.append(table.column("seconds").to_numpy()[current])
    count = sum(map(len, seconds))
    if not count:
        return None
    total = math.fsum(chain.from_iterable(values.tolist() for values in seconds))
    return Known(scores, there, total / count, attack_version)


def left_of(tables: Iterable[tuple[str, pa.Table]], index: ImageIndex, places: np.ndarray) -> Left:
    """What an attack left of the images at `places` (n,), ascending and different, from (measure, table of image_id,
    sha256 and score)."""
    measured: dict[str, FloatArray] = {}
    for name, table in tables:
        values = measured.setdefault(name, np.full(len(places), np.nan))
        at = index.places(*(one_piece(table.column(name)) for name in ("image_id", "sha256")))
        rows = np.searchsorted(places, at)
        asked = np.flatnonzero(places.take(rows, mode="clip") == at) if len(places) else np.array([], dtype=np.intp)
        values[rows[asked]] = table.column("score").to_numpy()[asked]
    return left(measured)


def _twice(places: np.ndarray) -> np.ndarray:
    """The first place that is there twice, or none; mostly they are in order."""
    if (np.diff(places) > 0).all():
        return places[:0]
    ordered = np.sort(places)
    return ordered[1:][np.diff(ordered) == 0][:1]
