from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from iarbench.images.traits import blockiness, grey_of, high_frequency, packed_size, sharpness


def smooth(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return small.resize((64, 64), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=20)
    return Image.open(buffer).convert("RGB")


def test_blockiness_is_higher_after_jpeg() -> None:
    images = [smooth(seed) for seed in range(5)]
    assert max(blockiness(grey_of(one)) for one in images) < min(blockiness(grey_of(jpeg(one))) for one in images)


def test_blockiness_of_steps_on_the_grid_is_their_height() -> None:
    stripes = np.zeros((16, 16), dtype=np.float32)
    stripes[:, 8:] = 100
    # one edge of 100 among two (the other direction has none), nothing inside
    assert blockiness(stripes) == pytest.approx(50)


def test_a_checkerboard_is_all_high_frequency_and_a_slow_wave_none() -> None:
    board = np.indices((8, 8)).sum(0) % 2 * np.float32(20)
    assert high_frequency(board.astype(np.float32)) == pytest.approx(100)  # its variance: 10 squared
    wave = np.cos(2 * np.pi * np.arange(8) / 8)[None].repeat(8, axis=0) * 10 + 50
    assert high_frequency(wave.astype(np.float32)) == pytest.approx(0, abs=1e-6)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    point = np.zeros((5, 5), dtype=np.float32)
    point[2, 2] = 9  # Laplacian inside: -36 once, 9 four times, 0 four times
    assert sharpness(point) == pytest.approx(36**2 / 9 + 4 * 9**2 / 9)
    assert sharpness(np.zeros((2, 9), dtype=np.float32)) == 0


def test_noise_takes_more_bytes_than_a_plain_colour() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    plain = np.full((16, 16, 3), 77, dtype=np.uint8)
    assert packed_size(plain) < 40
    assert packed_size(noise) > 700
