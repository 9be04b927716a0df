"""How complicated a picture is: the two measures that published scores are divided or multiplied by.

Both are computed from grey levels as OpenCV makes them, in integers, so that they agree with the official code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Pixels = npt.NDArray[np.uint8]

RED, GREEN, BLUE, SHIFT = 9798, 19235, 3735, 15
"""Weights of the colours in OpenCV's grey, in units of 2^-SHIFT."""


def grey(pixels: Pixels, *, swapped: bool = False) -> npt.NDArray[np.int64]:
    """Grey levels (H, W) in 0..255 of pixels (H, W, 3), RGB; ``swapped`` takes red for blue, as RONAN's code does."""
    first, last = (BLUE, RED) if swapped else (RED, BLUE)
    red, green, blue = np.moveaxis(pixels.astype(np.int64), 2, 0)
    return (first * red + GREEN * green + last * blue + 2 ** (SHIFT - 1)) >> SHIFT


def entropy_2d(pixels: Pixels) -> float:
    """RONAN's image complexity (arXiv 2305.18439): the entropy, in bits, of (grey level, mean of its 8 neighbours).

    Four things are as in the released code (complexity.py) and not as one would write them: grey takes red for blue;
    neighbours outside of the picture are black; their mean is not rounded; and frequencies are divided by the area
    of the picture with a border of one pixel, so that they sum to less than 1. More than 0 for every picture.

    Args:
        pixels: uint8 (H, W, 3), RGB.
    """
    levels = grey(pixels, swapped=True)
    height, width = levels.shape
    padded = np.pad(levels, 1)
    around = sum(
        padded[down : down + height, right : right + width]
        for down in range(3)
        for right in range(3)
        if (down, right) != (1, 1)
    )
    counts = np.unique(levels * (8 * 255 + 1) + around, return_counts=True)[1]
    shares = counts / ((height + 2) * (width + 2))
    return float(-(shares * np.log2(shares)).sum())


def homogeneity(pixels: Pixels, weight: Literal["square", "absolute"] = "square") -> float:
    """AEDR's homogeneity (arXiv 2507.18988, Eq. 4) of the grey-level co-occurrence matrix P, in (0, 1].

    32 levels (grey // 8), distance 1, angle 0, symmetric, normalised: the mean over horizontal neighbours of a weight
    that falls with the difference of their levels.

    Args:
        pixels: uint8 (H, W, 3), RGB, at least two columns.
        weight: ``square``, 1 / (1 + (i - j)^2), which the released code computes (scikit-image's "homogeneity");
            ``absolute``, 1 / (1 + |i - j|), which the paper writes.
    """
    levels = grey(pixels) // 8
    steps = np.abs(np.diff(levels, axis=1)).astype(np.float64)
    return float((1 / (1 + (steps**2 if weight == "square" else steps))).mean())


def to_pixels(images: Tensor) -> Pixels:
    """Images float (B, 3, H, W) in [0, 1] as uint8 (B, H, W, 3), *truncated* as RONAN's code does: v / 255 in float32
    times 255 gives every level v back.
    """
    levels = (images.float() * 255).clamp(0, 255)
    return levels.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
