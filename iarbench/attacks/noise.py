"""Additive Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from iarbench.attack import Attack, require_range

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True)
class Noise(Attack):
    """`noise0.05`: independent Gaussian noise on every pixel and channel, rounded and clipped to 8 bits.

    The number is the standard deviation on a scale where white is 1, above 0 and at most 1; 0.05 (12.75 grey levels)
    is the paper's default. albumentations' counterpart is not used: it cuts the noise towards zero instead of rounding
    it (a deviation of 0.0484 for 0.05) and knows only 65,536 noise fields.
    """

    std: float
    prefix: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "standard deviation, white being 1", self.std, 0, 1, above_low=True)

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Add noise drawn from `rng`."""
        pixels = np.asarray(image, dtype=np.float64)  # (H, W, 3) in [0, 255]
        noisy = np.rint(pixels + rng.normal(0.0, 255.0 * self.std, pixels.shape))
        return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
