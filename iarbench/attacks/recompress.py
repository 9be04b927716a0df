"""Lossy recompression by other formats than JPEG, and the round trip that all formats share."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image, features

from iarbench.attack import Attack, require_range
from iarbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np


def round_trip(image: Image.Image, format: str, **options: Any) -> Image.Image:
    """The image, mode RGB, encoded by Pillow as a file of that format and decoded again."""
    buffer = io.BytesIO()
    image.copy().save(buffer, format, **options)  # Pillow keeps the options at the image: threads may share it
    return Image.open(buffer).convert("RGB")


@dataclass(frozen=True)
class WebP(Attack):
    """`webp60`: one lossy WebP round trip through Pillow (libwebp, method 4, chroma at half resolution).

    Quality 1 (worst) to 100, whole numbers; sides up to 16,383 pixels. Deterministic.
    """

    quality: int
    prefix: ClassVar[str] = "webp"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "quality", self.quality, 1, 100)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Encode and decode; `rng` is not used."""
        return round_trip(image, "WEBP", quality=self.quality, method=4)


@dataclass(frozen=True)
class Avif(Attack):
    """`avif60`: one lossy AVIF round trip through Pillow (libavif, speed 6, chroma at half resolution).

    Quality 1 (worst) to 100, whole numbers. Pillow has the codec from 11.3 on, in most but not all of its builds.
    Deterministic: the encoder works on one thread.
    """

    quality: int
    prefix: ClassVar[str] = "avif"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "quality", self.quality, 1, 100)

    def lacking(self) -> str | None:
        """The codec, where this Pillow was built without it."""
        if "avif" in features.modules and features.check("avif"):
            return None
        return "this Pillow has no AVIF codec; install pillow>=11.3 from PyPI"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Encode and decode; `rng` is not used. Raises UserError without the codec."""
        if lacking := self.lacking():
            raise UserError(f"attack {self.name!r}: {lacking}")
        return round_trip(image, "AVIF", quality=self.quality, speed=6, subsampling="4:2:0", max_threads=1)
