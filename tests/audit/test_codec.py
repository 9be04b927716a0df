"""What the bytes of a file tell of its compression."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from iarbench.audit.codec import compression, jpeg_quality


def stored(container: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, container, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 90, 96, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    assert jpeg_quality(stored("JPEG", quality=quality), "JPEG") == quality


def test_compressions_have_names() -> None:
    assert compression(stored("JPEG", subsampling="4:4:4"), "JPEG") == "JPEG 4:4:4"
    assert compression(stored("JPEG", subsampling="4:2:0"), "JPEG") == "JPEG 4:2:0"
    assert compression(stored("WEBP", lossless=True), "WEBP") == "WEBP lossless"
    assert compression(stored("WEBP", quality=80), "WEBP") == "WEBP lossy"
    assert compression(stored("PNG"), "PNG") == "PNG"
    assert jpeg_quality(stored("PNG"), "PNG") is None
