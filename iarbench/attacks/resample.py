"""Resizing and cropping, both brought back to the size the image had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from iarbench.attack import Attack, require_range

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Resize(Attack):
    """`resize0.5`: down to that share of each side and up again, Pillow's antialiased bicubic both ways.

    The share is above 0 and at most 1; sides are rounded to whole pixels, at least one; 0.5 is the paper's default.
    Deterministic.
    """

    share: float
    prefix: ClassVar[str] = "resize"

    def __post_init__(self) -> None:
        require_range(self.name, "share of each side that is kept", self.share, 0, 1, above_low=True)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Lose the detail above the smaller size; `rng` is not used."""
        small = image.resize(_share_of(image.size, self.share), Image.Resampling.BICUBIC)
        return small.resize(image.size, Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class Crop(Attack):
    """`crop0.8`: the centre of that share of each side, resized back to the full size with Pillow's bicubic.

    The share is above 0 and at most 1; sides are rounded to whole pixels, at least one. The paper has no crop; the
    centre crop with a resize back is that of AEROBLADE's robustness test. Deterministic.
    """

    share: float
    prefix: ClassVar[str] = "crop"

    def __post_init__(self) -> None:
        require_range(self.name, "share of each side that is kept", self.share, 0, 1, above_low=True)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Cut the centre and enlarge it; `rng` is not used."""
        width, height = _share_of(image.size, self.share)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height)).resize(image.size, Image.Resampling.BICUBIC)


def _share_of(size: tuple[int, int], share: float) -> tuple[int, int]:
    width, height = size
    return max(1, round(width * share)), max(1, round(height * share))
