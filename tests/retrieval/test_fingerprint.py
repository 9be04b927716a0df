"""Low-bit fingerprints and tiles: by hand, and bit by bit what the published code gives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iarbench.errors import UserError
from iarbench.images.image_set import ImageSet
from iarbench.retrieval.fingerprint import SIZE, TILE, channels, fingerprint, full_map
from iarbench.retrieval.source import KINDS
from iarbench.retrieval.tiles import choose_tile, complexity, enlarge, patch_map, tiles

GOLDENS = json.loads((Path(__file__).parents[1] / "baseline_goldens" / "lida" / "goldens.json").read_text())


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    ids = [golden["image_id"] for golden in GOLDENS["images"]]
    records = ImageSet.open("iarbench-mini").read(ids)
    return {record.image_id: np.asarray(record.pil()) for record in records}


@pytest.mark.parametrize("golden", GOLDENS["images"], ids=lambda golden: golden["image_id"])
def test_levels_are_those_of_the_published_code(golden: dict[str, Any], pictures: dict[str, np.ndarray]) -> None:
    pixels = pictures[golden["image_id"]]
    native, squashed = fingerprint(pixels, "levels"), full_map(pixels, "levels")
    assert hashlib.sha256(native.tobytes()).hexdigest() == golden["fingerprint_sha256"]
    assert hashlib.sha256(squashed.tobytes()).hexdigest() == golden["full_256_sha256"]
    assert native.mean() == golden["fingerprint_mean"]
    assert squashed.mean() == golden["full_256_mean"]
    for choose in ("max", "min"):
        tile = choose_tile(squashed, choose)  # type: ignore[arg-type]
        assert [tile.row, tile.column] == golden[f"patch_{choose}_at"]
        assert tile.complexity == golden[f"patch_{choose}_complexity"]
        assert patch_map(squashed, choose).mean() == golden[f"patch_{choose}_mean"]  # type: ignore[arg-type]


def test_every_kind_of_every_value() -> None:
    values = np.arange(256, dtype=np.uint8)
    pixels = np.stack([values, values[::-1], np.zeros(256, np.uint8)], axis=-1).reshape(16, 16, 3)
    low = pixels.astype(int) % 8
    assert np.array_equal(fingerprint(pixels, "levels"), low * 36)
    assert np.array_equal(fingerprint(pixels, "binary"), np.where(low > 0, 255, 0))
    planes = fingerprint(pixels, "planes")
    for colour in range(3):
        for bit in range(3):
            expected = (pixels[..., colour].astype(int) // 2**bit % 2) * 255
            assert np.array_equal(planes[..., 3 * colour + bit], expected)
    for kind in KINDS:
        found = fingerprint(pixels, kind)
        assert found.dtype == np.uint8
        assert found.shape == (16, 16, channels(kind))


def test_a_batch_is_its_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    for kind in KINDS:
        assert np.array_equal(fingerprint(pixels, kind), np.stack([fingerprint(image, kind) for image in pixels]))


def test_an_unknown_kind_is_one_line() -> None:
    with pytest.raises(UserError, match="binary, levels, planes"):
        fingerprint(np.zeros((8, 8, 3), np.uint8), "bits")  # type: ignore[arg-type]


def test_a_map_of_full_size_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    for kind in KINDS:
        assert np.array_equal(full_map(pixels, kind), fingerprint(pixels, kind))
    assert full_map(pixels[:100, :40], "planes").shape == (SIZE, SIZE, 9)


def test_complexity_by_hand() -> None:
    # across 1 + 2, down 3 + 4, diagonal |5 - 0| = 5, other diagonal |3 - 1| = 2
    assert complexity(np.array([[[0], [1]], [[3], [5]]], np.uint8)) == 1 + 2 + 3 + 4 + 5 + 2
    assert complexity(np.array([[[255], [0]]], np.uint8)) == 255


def test_the_first_of_equal_tiles_is_chosen() -> None:
    flat = np.zeros((2 * TILE, 2 * TILE + 5, 3), np.uint8)
    assert len(tiles(flat)) == 4
    for choose in ("max", "min"):
        tile = choose_tile(flat, choose)  # type: ignore[arg-type]
        assert (tile.row, tile.column, tile.complexity) == (0, 0, 0)
    flat[TILE + 3, TILE + 3] = 200
    assert (choose_tile(flat, "max").row, choose_tile(flat, "max").column) == (TILE, TILE)


def test_enlarging_keeps_constants_and_places_centres() -> None:
    tile = np.full((TILE, TILE, 3), 77, np.uint8)
    assert np.array_equal(enlarge(tile), np.full((SIZE, SIZE, 3), 77))
    ramp = np.tile(np.minimum(np.arange(TILE) * 16, 240).astype(np.uint8)[None, :, None], (TILE, 1, 1))
    row = enlarge(ramp)[100, :, 0].astype(int)
    # Output pixel i lies at (i + .5)/8 - .5 input pixels, where the ramp is 2 i - 7, within its ends.
    assert np.array_equal(row, np.clip(2 * np.arange(SIZE) - 7, 0, 240))
