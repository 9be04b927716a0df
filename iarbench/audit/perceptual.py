"""Near duplicates: the same picture in other bytes, such as compressed again, resized, recoloured or mirrored.

A hash finds candidates, small thumbnails decide. The hash is the usual perceptual one: the signs of the 8 x 8 lowest
coefficients of the discrete cosine transform of the grey picture at 32 x 32, about their median (pHash; Zauner 2010,
Implementation and Benchmarking of Perceptual Image Hash Functions, section 3.2.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.fft import dctn

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 16
"""Of a thumbnail."""
DISTANCE = 12
"""Hashes that differ in at most so many of 64 bits are candidates."""
ALIKE = 0.97
"""Candidates whose thumbnails correlate at least so much are near duplicates. Ours: among the 7.8 million pairs of the
packaged set none is above 0.966, and copies compressed, resized, recoloured or mirrored are (`tests/audit`)."""
_BLOCK = 2048
_ODD = np.where(np.arange(8) % 2, -1.0, 1.0)


class Sketch(NamedTuple):
    """What is kept of a picture to find it again."""

    hash: int
    """64 bits."""
    mirrored: int
    """Of the picture mirrored left to right."""
    thumbnail: bytes
    """Grey levels uint8 (16, 16)."""


class Pair(NamedTuple):
    """Two near duplicates by their places, the first one smaller."""

    first: int
    second: int
    likeness: float
    """Correlation of their thumbnails, at most 1."""
    mirrored: bool


def sketch(image: Image.Image) -> Sketch:
    """The sketch of an RGB image of any size."""
    grey = image.convert("L")
    middle = np.asarray(grey.resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float64)
    low = dctn(middle, norm="ortho")[:8, :8]
    small = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
    # mirroring turns the sign of every odd coefficient along the rows
    return Sketch(_bits(low), _bits(low * _ODD), np.asarray(small, dtype=np.uint8).tobytes())


def near_pairs(
    sketches: list[Sketch], apart: Callable[[int, int], bool], advance: Callable[[int], None] = lambda _: None
) -> Iterator[Pair]:
    """Near duplicates among the pairs that are `apart`; every picture is compared with every other one.

    10,000 pictures take about a second, and the time grows with the square. Flat pictures, which are all alike, have
    no near duplicates.
    """
    if not sketches:
        return
    hashes = np.array([one.hash for one in sketches], dtype=np.uint64)
    mirrors = np.array([one.mirrored for one in sketches], dtype=np.uint64)
    thumbnails = _standardised(np.frombuffer(b"".join(one.thumbnail for one in sketches), dtype=np.uint8))
    mirrored_thumbnails = thumbnails.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(sketches), -1)
    shown = np.flatnonzero(thumbnails.any(axis=1))  # flat pictures are all alike
    for start in range(0, len(shown), _BLOCK):
        rows = shown[start : start + _BLOCK]
        for other in range(start, len(shown), _BLOCK):
            columns = shown[other : other + _BLOCK]
            for mirrored, right, thumbs in ((False, hashes, thumbnails), (True, mirrors, mirrored_thumbnails)):
                near = np.bitwise_count(hashes[rows, None] ^ right[None, columns]) <= DISTANCE
                for first, second, likeness in _alike(near, rows, columns, thumbnails, thumbs):
                    if first < second and apart(first, second):
                        yield Pair(first, second, likeness, mirrored)
        advance(len(rows))
    advance(len(sketches) - len(shown))


def _alike(
    near: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    left: npt.NDArray[np.float32],
    right: npt.NDArray[np.float32],
) -> Iterator[tuple[int, int, float]]:
    """Of the near pairs those whose thumbnails say so too, some at a time: many near pairs would fill the memory."""
    places = np.argwhere(near)
    for start in range(0, len(places), _BLOCK):
        i, j = rows[places[start : start + _BLOCK, 0]], columns[places[start : start + _BLOCK, 1]]
        likeness = np.einsum("nd,nd->n", left[i], right[j])
        chosen = likeness >= ALIKE
        yield from zip(i[chosen].tolist(), j[chosen].tolist(), likeness[chosen].tolist(), strict=True)


def _bits(low: npt.NDArray[np.float64]) -> int:
    flat = low.ravel()
    return int.from_bytes(np.packbits(flat > np.median(flat[1:])).tobytes(), "big")


def _standardised(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Rows of mean 0 and length 1, one a picture; 0 for flat ones."""
    rows = pixels.reshape(-1, SIDE * SIDE).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    flat = length < 2.0 * np.sqrt(rows.shape[1])  # less than two grey levels of contrast
    return np.where(flat, 0, rows / np.maximum(length, 1e-9)).astype(np.float32)
