"""Gaussian blur of random strength."""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

from iarbench.attack import Attack, require_range
from iarbench.errors import UserError

if TYPE_CHECKING:
    from numpy.random import Generator

_local = threading.local()
_building = threading.Lock()


@dataclass(frozen=True)
class Blur(Attack):
    """`blur9`: Gaussian blur with a kernel of 9x9 pixels and a standard deviation drawn from U(0.1, 2) an image.

    The number is the side of the kernel in pixels, odd, 3 to 99; 9 is the paper's default, as is the range of the
    deviation (in pixels). Mirrored borders. Done by albumentations' GaussianBlur.
    """

    kernel: int
    prefix: ClassVar[str] = "blur"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "side of the kernel in pixels", self.kernel, 3, 99)
        if self.kernel % 2 == 0:
            raise UserError(f"attack {self.name!r}: the side of the kernel in pixels must be odd, 3 to 99")

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Blur with a deviation drawn from `rng`."""
        transform = _gaussian_blur(self.kernel)
        transform.set_random_seed(int(rng.integers(2**31)))
        return Image.fromarray(transform(image=np.asarray(image))["image"])


def _gaussian_blur(kernel: int) -> Any:
    """This thread's albumentations transform: it carries the seed, so threads must not share one."""
    transforms = _local.__dict__.setdefault("transforms", {})
    if kernel not in transforms:
        with _building:
            transforms[kernel] = _build(kernel)
    return transforms[kernel]


def _build(kernel: int) -> Any:
    # The import would otherwise ask PyPI for a newer release.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    with warnings.catch_warnings():
        # albumentations only warns of an argument it does not know, and then uses its default.
        warnings.simplefilter("error")
        return albumentations.GaussianBlur(blur_limit=(kernel, kernel), sigma_limit=(0.1, 2.0), p=1.0)
