"""Gaussian and median blur."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image, ImageFilter

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
    deviation (in pixels). `sigma` fixes the deviation (AEROBLADE's 1 to 5), up to 50; 0 draws it. Mirrored borders.
    Done by albumentations' GaussianBlur. In quality the number is not monotone over few images: every name draws
    deviations of its own.
    """

    kernel: int
    sigma: float = 0.0
    prefix: ClassVar[str] = "blur"

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_side(self.name, "side of the kernel in pixels", self.kernel)
        if not 0 <= self.sigma <= 50:
            raise UserError(f"attack {self.name!r}: sigma is the standard deviation in pixels, from 0 (drawn) to 50")

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Blur with a deviation drawn from `rng`, unless it is fixed."""
        limits = (self.sigma, self.sigma) if self.sigma else (0.1, 2.0)
        transform = _transform("GaussianBlur", blur_limit=(self.kernel, self.kernel), sigma_limit=limits)
        transform.set_random_seed(int(rng.integers(2**31)))
        return Image.fromarray(transform(image=np.asarray(image))["image"])


@dataclass(frozen=True)
class GaussBlur(Attack):
    """`gaussblur2`: Gaussian blur with a standard deviation of that many pixels, by Pillow's GaussianBlur.

    Above 0 and at most 50; WAVES goes from 0 to 20. Pillow approximates the Gaussian by three box blurs, whose
    reach has no limit; borders repeat the outermost pixels. Deterministic.
    """

    sigma: float
    prefix: ClassVar[str] = "gaussblur"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self.name, "standard deviation in pixels", self.sigma, 0, 50, above_low=True)

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Blur; `rng` is not used."""
        return image.filter(ImageFilter.GaussianBlur(self.sigma))


@dataclass(frozen=True)
class Median(Attack):
    """`median3`: every pixel becomes the median of its 3x3 neighbourhood, a channel at a time.

    The number is the side of the neighbourhood in pixels, odd, 3 to 99; borders repeat the outermost pixels. Done by
    albumentations' MedianBlur. Deterministic.
    """

    kernel: int
    prefix: ClassVar[str] = "median"

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_side(self.name, "side of the neighbourhood in pixels", self.kernel)

    def apply(self, image: Image.Image, rng: Generator) -> Image.Image:
        """Take medians; `rng` is not used."""
        transform = _transform("MedianBlur", blur_limit=(self.kernel, self.kernel))
        return Image.fromarray(transform(image=np.asarray(image))["image"])


def _require_side(name: str, what: str, side: int) -> None:
    require_range(name, what, side, 3, 99)
    if side % 2 == 0:
        raise UserError(f"attack {name!r}: the {what} must be odd, 3 to 99")


def _transform(kind: str, **limits: tuple[float, float]) -> Any:
    """This thread's albumentations transform: it carries the seed, so threads must not share one."""
    transforms = _local.__dict__.setdefault("transforms", {})
    key = (kind, *limits.values())
    if key not in transforms:
        with _building:
            transforms[key] = _build(kind, limits)
    return transforms[key]


def _build(kind: str, limits: Mapping[str, tuple[float, float]]) -> Any:
    # The import would otherwise ask PyPI for a newer release.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    with warnings.catch_warnings():
        # albumentations only warns of an argument it does not know, and then uses its default.
        warnings.simplefilter("error")
        return getattr(albumentations, kind)(**limits, p=1.0)
