"""Changes of colour that leave shapes as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from iarbench.attack import Attack, require_range

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True)
class Hue(Attack):
    """`hue0.2`: every hue turned by that fraction of the colour circle, from red towards green.

    From 0 to 1; a turn the other way, -0.2, is 0.8. Done on Pillow's 8-bit HSV, which rounds the turn to a 256th and
    moves other values by a few grey levels. In quality it is monotone up to half a turn and comes back from there.
    Deterministic.
    """

    turn: float
    prefix: ClassVar[str] = "hue"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "fraction of the colour circle", self.turn, 0, 1)

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Turn the hues; `rng` is not used."""
        pixels = np.array(image.convert("HSV"))  # (H, W, 3); hue in 256ths of the circle
        pixels[..., 0] += np.uint8(round(256 * self.turn) % 256)  # wraps, as the circle does
        return Image.fromarray(pixels, "HSV").convert("RGB")


@dataclass(frozen=True)
class Grey(Attack):
    """`grey`: without colour (ITU-R 601 luma in all three channels). Deterministic."""

    prefix: ClassVar[str] = "grey"

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Drop the colour; `rng` is not used."""
        return image.convert("L").convert("RGB")
