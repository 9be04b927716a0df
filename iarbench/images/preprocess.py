"""The same treatment for every image of a comparison: one geometry, one size, one container."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self, get_args

from PIL import Image

from iarbench.errors import UserError
from iarbench.images.decode import LARGEST_SIDE, Container, encode

Geometry = Literal["native", "crop", "squash"]
GEOMETRIES = get_args(Geometry)
CONTAINERS = get_args(Container)

_WHOLE = 2**26
"""Pixels up to which an image is resized as a whole and then cropped. Of a longer strip (2 x 60,000 pixels would take
gigabytes) only the square that is kept is computed, which may differ by a grey level: Pillow places it in float32."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What is done to the pixels, and the file they are put into.

    An image that has the size already keeps every pixel; its container still changes, so that members and non-members
    cannot be told apart by their files.
    """

    size: int | None
    """Side of the square in pixels, from 1; None for `native`."""
    container: Container = "webp"
    """png and webp: without loss; jpeg96: JPEG of quality 96, 4:2:0."""
    geometry: Geometry = "crop"
    """crop: shorter side to `size` (Pillow's antialiased bilinear), then centre crop; squash: both sides to `size`
    (Pillow's bicubic), as the paper's code does before its attacks; native: pixels as they are."""

    def __post_init__(self) -> None:
        if self.geometry not in GEOMETRIES:
            raise UserError(f"geometry {self.geometry!r}: choose one of {', '.join(GEOMETRIES)}")
        if self.container not in LARGEST_SIDE:
            raise UserError(f"container {self.container!r}: choose one of {', '.join(CONTAINERS)}")
        if (self.size is None) != (self.geometry == "native"):
            raise UserError(f"geometry {self.geometry}: crop and squash need a size, native has none")
        if self.size is None:
            return
        if self.size < 1:
            raise UserError(f"image size {self.size}: give the side of the square in pixels, from 1")
        if self.size > (limit := LARGEST_SIDE[self.container]):
            name = self.container.upper().removesuffix("96")
            raise UserError(f"image size {self.size}: {name} holds at most {limit} pixels a side")

    @property
    def name(self) -> str:
        """Such as "crop256-webp", "squash64-jpeg96" or "native-png"; `parse` reads it."""
        return f"{self.geometry}{self.size or ''}-{self.container}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """The treatment with this name. Raises UserError when it is none."""
        match = re.fullmatch(rf"({'|'.join(GEOMETRIES)})(\d*)-({'|'.join(CONTAINERS)})", name)
        if match is None:
            raise UserError(f"{name!r} is no treatment of images; write one such as crop256-webp or native-png")
        geometry, size, container = match.groups()
        return cls(int(size) if size else None, container, geometry)  # type: ignore[arg-type]

    def image(self, image: Image.Image) -> Image.Image:
        """Bring one RGB image of any size to `size` x `size`; nothing for `native`."""
        if self.size is None or image.size == (self.size, self.size):
            return image
        if self.geometry == "squash":
            return image.resize((self.size, self.size), Image.Resampling.BICUBIC)
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
