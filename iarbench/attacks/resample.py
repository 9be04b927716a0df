"""Resizing and cropping, both brought back to the size the image had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from PIL import Image

from iarbench.attack import Attack, require_range

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Resize(Attack):
    """`resize0.5`: down to that fraction of each side and up again, by a filter of Pillow's, antialiased.

    The scale is above 0 and at most 1; sides are rounded to whole pixels, at least one; 0.5 is the paper's default, as
    is the bicubic filter (`resize:scale=0.5,filter=lanczos` has another one). Deterministic.
    """

    scale: float
    filter: Literal["bicubic", "bilinear", "lanczos", "nearest"] = "bicubic"
    prefix: ClassVar[str] = "resize"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "fraction of each side that is kept", self.scale, 0, 1, above_low=True)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Lose the detail above the smaller size; `rng` is not used."""
        resampling = Image.Resampling[self.filter.upper()]
        return image.resize(_scaled(image.size, self.scale), resampling).resize(image.size, resampling)


@dataclass(frozen=True)
class Crop(Attack):
    """`crop0.8`: the centre of that fraction of each side, resized back to the full size with Pillow's bicubic.

    The scale is above 0 and at most 1; sides are rounded to whole pixels, at least one. The paper has no crop; the
    centre crop with a resize back is that of AEROBLADE's robustness test. Deterministic.
    """

    scale: float
    prefix: ClassVar[str] = "crop"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "fraction of each side that is kept", self.scale, 0, 1, above_low=True)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Cut the centre and enlarge it; `rng` is not used."""
        width, height = _scaled(image.size, self.scale)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height)).resize(image.size, Image.Resampling.BICUBIC)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    width, height = size
    return max(1, round(width * scale)), max(1, round(height * scale))
