"""Resizing and cropping, both brought back to the size the image had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from PIL import Image

from iarbench.attack import Attack, require_range
from iarbench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

Filter = Literal["bicubic", "bilinear", "lanczos", "nearest"]
"""Of Pillow's."""


@dataclass(frozen=True)
class Resize(Attack):
    """`resize0.5`: down to that fraction of each side and up again, by a filter of Pillow's, antialiased.

    The scale is above 0 and at most 1; sides are rounded to whole pixels, at least one; 0.5 is the paper's default, as
    is the bicubic filter (`resize:scale=0.5,filter=lanczos` has another one). Deterministic.
    """

    scale: float
    filter: Filter = "bicubic"
    prefix: ClassVar[str] = "resize"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "fraction of each side that is kept", self.scale, 0, 1, above_low=True)

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Lose the detail above the smaller size; `rng` is not used."""
        resampling = Image.Resampling[self.filter.upper()]
        return image.resize(scaled(image.size, self.scale), resampling).resize(image.size, resampling)


@dataclass(frozen=True)
class Crop(Attack):
    """`crop0.8`: the centre of that fraction of each side, resized back to the full size with Pillow's bicubic.

    The scale is above 0 and at most 1; sides are rounded to whole pixels, at least one. The paper has no crop; the
    centre crop with a resize back is that of AEROBLADE's robustness test. `place`: where the part lies, in the centre,
    anywhere (drawn from the image's own stream, as in WAVES) or in the upper left corner (as in WMAR). `grid`: sides
    and position are multiples of that many pixels, so that the part is aligned to a tokenizer whose tokens have that
    side; 0 leaves them as they are. `back`: `resize` enlarges the part, `mirror` keeps its scale and fills the rest
    with its mirror image (numpy's `symmetric`), so that only the phase of the grid changes. `filter`: of Pillow's, with
    which it is enlarged. Deterministic but for `random`.
    """

    scale: float
    place: Literal["centre", "random", "corner"] = "centre"
    grid: int = 0
    back: Literal["resize", "mirror"] = "resize"
    filter: Filter = "bicubic"
    prefix: ClassVar[str] = "crop"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "fraction of each side that is kept", self.scale, 0, 1, above_low=True)
        if not 0 <= self.grid <= 64:
            raise UserError(f"attack {self.name!r}: grid is the side of a token in pixels, from 1 to 64, or 0 for none")

    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Cut the part and bring it to the full size."""
        width, height = (self._side(side) for side in image.size)
        left, top = self._start(image.width - width, rng), self._start(image.height - height, rng)
        part = image.crop((left, top, left + width, top + height))
        if self.back == "mirror":
            return _mirrored_out(part, image.size)
        return part.resize(image.size, Image.Resampling[self.filter.upper()])

    def _side(self, full: int) -> int:
        unit = min(self.grid or 1, full)
        return min(full, max(1, round(full * self.scale / unit)) * unit)

    def _start(self, free: int, rng: np.random.Generator) -> int:
        unit = self.grid or 1
        if self.place == "random":
            return int(rng.integers(free // unit + 1)) * unit
        return 0 if self.place == "corner" else free // 2 // unit * unit


def _mirrored_out(part: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The part in the upper left corner of an image of that size, the rest filled with its mirror image."""
    import numpy as np

    width, height = size
    pixels = np.pad(np.asarray(part), ((0, height - part.height), (0, width - part.width), (0, 0)), mode="symmetric")
    return Image.fromarray(pixels)


def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Width and height times the scale, in whole pixels, at least one."""
    width, height = size
    return max(1, round(width * scale)), max(1, round(height * scale))
