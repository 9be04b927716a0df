"""How a file is compressed, as far as its bytes tell: quality and chroma subsampling of a JPEG, loss of a WebP."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, JpegImagePlugin

# Luminance quantisation table of ITU-T T.81, table K.1, in natural order: what libjpeg scales by its quality.
_LUMINANCE = """
16 11 10 16 24 40 51 61      12 12 14 19 26 58 60 55      14 13 16 24 40 57 69 56      14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77    24 35 55 64 81 104 113 92    49 64 78 87 103 121 120 101  72 92 95 98 112 100 103 99
"""
_STANDARD = np.array([int(step) for step in _LUMINANCE.split()])
_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


def compression(data: bytes, container: str) -> str:
    """Such as "JPEG 4:2:0", "WEBP lossless" or "PNG"; for other containers their name alone."""
    if container == "JPEG":
        with Image.open(io.BytesIO(data)) as image:
            kind = _SUBSAMPLING.get(JpegImagePlugin.get_sampling(image), "")
        return f"JPEG {kind}".strip()
    if container == "WEBP":
        return "WEBP lossless" if b"VP8L" in data[12:64] else "WEBP lossy"
    return container


def jpeg_quality(data: bytes, container: str) -> int | None:
    """The quality of libjpeg, 1 to 100, whose luminance table comes nearest to the file's; None if it is no JPEG."""
    if container != "JPEG":
        return None
    with Image.open(io.BytesIO(data)) as image:
        tables = getattr(image, "quantization", {})
    if 0 not in tables:
        return None
    found = np.array(tables[0], dtype=np.float64)
    return 1 + int(np.argmin(np.abs(_TABLES - found).sum(axis=1)))


def _table(quality: int) -> np.ndarray:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((_STANDARD * scale + 50) // 100, 1, 255)


_TABLES = np.stack([_table(quality) for quality in range(1, 101)])
