"""Mirroring: the same content, seen from the other side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PIL import Image, ImageOps

from iarbench.attack import Attack

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Flip(Attack):
    """`flip`: mirrored left to right. Deterministic."""

    prefix: ClassVar[str] = "flip"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Mirror the image; `rng` is not used."""
        return ImageOps.mirror(image)
