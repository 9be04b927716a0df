"""Covering parts of the image: a black rectangle, or a line of text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from PIL import Image, ImageDraw, ImageFont

from iarbench.attack import Attack, require_range
from iarbench.attacks.resample import scaled

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Erase(Attack):
    """`erase0.1`: a rectangle of that fraction of the area, in the proportions of the image, is made black.

    Above 0 and at most 1; sides are rounded to whole pixels, at least one. Where it lies is drawn from the image's own
    stream, evenly over all places. WAVES erases up to 0.25.
    """

    area: float
    prefix: ClassVar[str] = "erase"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "fraction of the area that is erased", self.area, 0, 1, above_low=True)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Paint the rectangle."""
        width, height = scaled(image.size, math.sqrt(self.area))
        left, top = (int(rng.integers(free + 1)) for free in (image.width - width, image.height - height))
        erased = image.copy()
        erased.paste((0, 0, 0), (left, top, left + width, top + height))
        return erased


@dataclass(frozen=True)
class Text(Attack):
    """`text0.2`: a line of white text with a black edge, its letters as high as that fraction of the image.

    Above 0 and at most 1. `words`: what it says. Letters are those of the bitmap font that Pillow carries, so that no
    machine draws others, enlarged without smoothing; text that is wider than the image is cut at its edges. Where it
    lies is drawn from the image's own stream; wide text is in the middle.
    """

    height: float
    words: str = "SAMPLE"
    prefix: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(
            self.name, "height of the letters as a fraction of the image's", self.height, 0, 1, above_low=True
        )

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Write over the image."""
        fill, edge = _drawn(self.words)
        height = max(1, round(image.height * self.height))
        size = max(1, round(fill.width * height / fill.height)), height
        free_x, free_y = image.width - size[0], image.height - size[1]
        left = int(rng.integers(free_x + 1)) if free_x >= 0 else free_x // 2
        top = int(rng.integers(free_y + 1))
        written = image.copy()
        for mask, colour in ((edge, (0, 0, 0)), (fill, (255, 255, 255))):
            written.paste(colour, (left, top), mask.resize(size, Image.Resampling.NEAREST))
        return written


@cache
def _drawn(words: str) -> tuple[Image.Image, Image.Image]:
    """The letters, and the letters with an edge of one font pixel, as masks of one size (mode L, 0 or 255)."""
    font = ImageFont.load_default_imagefont()
    box = font.getbbox(words)
    size = math.ceil(box[2]) + 2, math.ceil(box[3]) + 2
    fill, edge = Image.new("L", size), Image.new("L", size)
    ImageDraw.Draw(fill).text((1, 1), words, fill=255, font=font)
    for x in range(3):
        for y in range(3):
            ImageDraw.Draw(edge).text((x, y), words, fill=255, font=font)
    found = edge.getbbox() or (0, 0, *size)  # without the empty rows that the font leaves around its letters
    return fill.crop(found), edge.crop(found)
