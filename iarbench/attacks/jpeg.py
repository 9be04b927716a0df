"""JPEG recompression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from iarbench.attack import Attack, require_range
from iarbench.attacks.recompress import round_trip

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


@dataclass(frozen=True)
class Jpeg(Attack):
    """`jpeg60`: one JPEG round trip through Pillow (libjpeg), chroma at half resolution (4:2:0).

    Quality 1 (worst) to 100, whole numbers; 60 is the paper's default. Deterministic. albumentations' counterpart is
    not used: it hands RGB to an encoder that expects BGR, which weights the channels wrongly.
    """

    quality: int
    prefix: ClassVar[str] = "jpeg"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "quality", self.quality, 1, 100)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Encode and decode; `rng` is not used."""
        return round_trip(image, "JPEG", quality=self.quality, subsampling="4:2:0")
