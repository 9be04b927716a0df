"""Brightness, contrast, saturation and sharpness, by the definitions of Pillow's ImageEnhance (as the paper does it).

Each mixes the image with a degenerate one: result = factor * image + (1 - factor) * degenerate, clipped to 8 bits.
A factor of 1 changes nothing, 0 gives the degenerate image. Factors go from 0 to 10. Deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PIL import Image, ImageEnhance

from iarbench.attack import Attack, require_range

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class _Enhanced(Attack):
    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "factor (1 changes nothing)", self.factor, 0, 10)


@dataclass(frozen=True)
class Brightness(_Enhanced):
    """`brightness1.6`: mixed with black, so every value times the factor; 1.6 is the paper's default."""

    prefix: ClassVar[str] = "brightness"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Scale the values; `rng` is not used."""
        return ImageEnhance.Brightness(image).enhance(self.factor)


@dataclass(frozen=True)
class Contrast(_Enhanced):
    """`contrast2`: mixed with a plain grey of the image's mean luminance; 2 is the paper's default."""

    prefix: ClassVar[str] = "contrast"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Spread the values around the mean luminance; `rng` is not used."""
        return ImageEnhance.Contrast(image).enhance(self.factor)


@dataclass(frozen=True)
class Saturation(_Enhanced):
    """`saturation2`: mixed with its own grey version (ITU-R 601 luma); 2 is the paper's default."""

    prefix: ClassVar[str] = "saturation"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Move the colours away from grey; `rng` is not used."""
        return ImageEnhance.Color(image).enhance(self.factor)


@dataclass(frozen=True)
class Sharpness(_Enhanced):
    """`sharpness2`: mixed with its own smoothed version (a 3x3 kernel, 5 in the middle, 1 around, over 13).

    Below 1 it smooths, above 1 it sharpens, so strength is the distance from 1, not the factor.
    """

    prefix: ClassVar[str] = "sharpness"

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Strengthen or weaken what the smoothed version lacks; `rng` is not used."""
        return ImageEnhance.Sharpness(image).enhance(self.factor)
