"""What happens to images that people pass on: a screenshot, and an upload to a social network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PIL import Image, ImageFilter

from iarbench.attack import Attack, require_range
from iarbench.attacks.recompress import round_trip
from iarbench.attacks.resample import scaled
from iarbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Screenshot(Attack):
    """`screenshot1.25`: shown at that zoom, cut out by hand, brought back to size and saved as JPEG.

    No published suite has one, so the steps and numbers are ours: enlarged by Pillow's bilinear filter, as browsers do,
    to `zoom` times the size (0.5 to 4; 1.25 and 1.5 are usual display scalings); of each edge 0 to `cut` screen pixels
    are lost, drawn from the image's own stream; bicubic back to the size; JPEG at `quality`, 4:2:0. In quality the zoom
    is not monotone: a cut of whole screen pixels is the smaller a shift the larger the zoom.
    """

    zoom: float
    cut: int = 2
    quality: int = 90
    prefix: ClassVar[str] = "screenshot"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "zoom of the display", self.zoom, 0.5, 4)
        if not 0 <= self.cut <= 100:
            raise UserError(f"attack {self.name!r}: cut is the most screen pixels lost at an edge, from 0 to 100")
        _require_quality(self.name, self.quality)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Show, cut, resize, compress."""
        width, height = scaled(image.size, self.zoom)
        shown = image.resize((width, height), Image.Resampling.BILINEAR)
        lost = rng.integers(self.cut + 1, size=4).tolist()
        left, right = (min(edge, (width - 1) // 2) for edge in lost[:2])
        top, bottom = (min(edge, (height - 1) // 2) for edge in lost[2:])
        cut = shown.crop((left, top, width - right, height - bottom))
        back = cut.resize(image.size, Image.Resampling.BICUBIC)
        return round_trip(back, "JPEG", quality=self.quality, subsampling="4:2:0")


@dataclass(frozen=True)
class Social(Attack):
    """`social75`: an upload to a social network: made smaller, sharpened, JPEG at that quality, shown at the old size.

    That networks resize, filter and recompress at qualities from 71 to 95 is reported by Wu et al., *Robust Image
    Forgery Detection over Online Social Network Shared Images*, CVPR 2022 (from memory, unverified); the numbers are
    ours: Lanczos to `scale` of each side (0.8), an unsharp mask of 1 pixel and 50 %, JPEG at `quality` with 4:2:0,
    bicubic back to the size. Quality 1 to 100, scale above 0 and at most 1. Deterministic.
    """

    quality: int
    scale: float = 0.8
    prefix: ClassVar[str] = "social"

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_quality(self.name, self.quality)
        if not 0 < self.scale <= 1:
            raise UserError(f"attack {self.name!r}: scale is the fraction of each side that is kept, up to 1")

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Shrink, sharpen, compress, enlarge; `rng` is not used."""
        small = image.resize(scaled(image.size, self.scale), Image.Resampling.LANCZOS)
        sharp = small.filter(ImageFilter.UnsharpMask(radius=1, percent=50, threshold=0))
        uploaded = round_trip(sharp, "JPEG", quality=self.quality, subsampling="4:2:0")
        return uploaded.resize(image.size, Image.Resampling.BICUBIC)


def _require_quality(name: str, quality: int) -> None:
    if not 1 <= quality <= 100:
        raise UserError(f"attack {name!r}: quality is that of a JPEG file, from 1 to 100")
