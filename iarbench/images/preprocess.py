"""The same treatment for every image of a comparison: one crop, one size, one container."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from iarbench.errors import UserError
from iarbench.images.decode import LARGEST_SIDE, Container, encode

_WHOLE = 2**26
"""Pixels up to which an image is resized as a whole and then cropped. Of a longer strip (2 x 60,000 pixels would take
gigabytes) only the square that is kept is computed, which may differ by a grey level: Pillow places it in float32."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Shorter side to `size` (Pillow's antialiased bilinear), centre crop to a square, encode without loss.

    An image that is `size` x `size` already keeps every pixel; its container still changes, so that members and
    non-members cannot be told apart by their files.
    """

    size: int
    """Side of the square in pixels, from 1."""
    container: Container = "webp"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"image size {self.size}: give the side of the square in pixels, from 1")
        if self.container not in LARGEST_SIDE:
            raise UserError(f"container {self.container!r}: choose png or webp, both lossless")
        if self.size > (limit := LARGEST_SIDE[self.container]):
            raise UserError(f"image size {self.size}: {self.container.upper()} holds at most {limit} pixels a side")

    def image(self, image: Image.Image) -> Image.Image:
        """Resize and crop one RGB image of any size to `size` x `size`."""
        scale = self.size / min(image.size)
        width, height = (max(self.size, round(side * scale)) for side in image.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        if width * height > _WHOLE:
            across, down = image.width / width, image.height / height
            square = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
            return image.resize((self.size, self.size), Image.Resampling.BILINEAR, box=square)
        if (width, height) != image.size:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return image.crop((left, top, left + self.size, top + self.size))

    def __call__(self, image: Image.Image) -> bytes:
        """The bytes of the treated image."""
        return encode(self.image(image), self.container)
