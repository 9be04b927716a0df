"""LIDA's patch mode: one tile of the fingerprint map stands for the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from iarbench.retrieval.fingerprint import SIZE, TILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choose = Literal["max", "min"]

_ONE = 2048
"""OpenCV's weights of an 8-bit resize are whole numbers of this part."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of a map."""

    row: int
    column: int
    """Of its upper left corner, in pixels of the map."""
    complexity: int
    """Sum of absolute differences between neighbours: across, down and along both diagonals, over all channels."""


def tiles(found: NDArray[np.uint8]) -> list[Tile]:
    """All 32 x 32 tiles of a map uint8 (H, W, C), side by side, row by row; a rest at the edges is not used."""
    height, width = found.shape[0] // TILE, found.shape[1] // TILE
    places = [(row * TILE, column * TILE) for row in range(height) for column in range(width)]
    return [Tile(row, column, complexity(found[row : row + TILE, column : column + TILE])) for row, column in places]


def choose_tile(found: NDArray[np.uint8], choose: Choose) -> Tile:
    """The most or the least complex tile of a map, the first of equals."""
    every = tiles(found)
    return max(every, key=lambda tile: tile.complexity) if choose == "max" else min(every, key=lambda t: t.complexity)


def complexity(tile: NDArray[np.uint8]) -> int:
    """The complexity of a tile uint8 (H, W, C)."""
    x = tile.astype(np.int64)
    pairs = ((x[:, 1:], x[:, :-1]), (x[1:], x[:-1]), (x[1:, 1:], x[:-1, :-1]), (x[1:, :-1], x[:-1, 1:]))
    return int(sum(np.abs(a - b).sum() for a, b in pairs))


def patch_map(found: NDArray[np.uint8], choose: Choose) -> NDArray[np.uint8]:
    """The chosen tile of a map uint8 (256, 256, C), enlarged to that size as OpenCV's 8-bit bilinear resize does it."""
    tile = choose_tile(found, choose)
    return enlarge(found[tile.row : tile.row + TILE, tile.column : tile.column + TILE])


def enlarge(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A tile uint8 (32, 32, C) to uint8 (256, 256, C): pixel centres aligned, edges repeated, OpenCV's integer sums."""
    at = (np.arange(SIZE) + 0.5) * TILE / SIZE - 0.5
    low = np.floor(at).astype(np.int64)
    share = np.rint((at - low) * _ONE).astype(np.int64)
    first, second = np.clip(low, 0, TILE - 1), np.clip(low + 1, 0, TILE - 1)
    x = tile.astype(np.int64)
    across = x[:, first] * (_ONE - share)[:, None] + x[:, second] * share[:, None]
    up = ((_ONE - share)[:, None, None] * (across[first] >> 4)) >> 16
    down = (share[:, None, None] * (across[second] >> 4)) >> 16
    return ((up + down + 2) >> 2).astype(np.uint8)
