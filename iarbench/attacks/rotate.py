"""Rotation about the centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from iarbench.attack import Attack, require_range

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Rotate(Attack):
    """`rotate5`: turned counter-clockwise by that many degrees about the centre, with Pillow's bicubic filter.

    From 0 to 360: 340 is 20 degrees clockwise. Corners that nothing is turned into are black, and the size stays. WAVES
    goes from 0 to 45, WMAR to 20 on both sides. In quality it is monotone up to 45 degrees; beyond, it depends on the
    picture. Deterministic.
    """

    degrees: float
    prefix: ClassVar[str] = "rotate"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "angle in degrees", self.degrees, 0, 360)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Turn the image; `rng` is not used."""
        return image.rotate(self.degrees, Image.Resampling.BICUBIC)
