"""Low-bit fingerprints (LIDA, arXiv 2603.10583): what is left of an image when only its three lowest bits are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from iarbench.errors import UserError
from iarbench.retrieval.source import KINDS, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 256
"""Side in pixels of the map that the released code gives its network."""

TILE = 32
"""Side in pixels of the tiles that its patch mode cuts from that map."""


def channels(kind: Kind) -> int:
    """How many channels a fingerprint has."""
    return 9 if kind == "planes" else 3


def fingerprint(pixels: NDArray[np.uint8], kind: Kind) -> NDArray[np.uint8]:
    """The fingerprint of images, at their own size.

    Args:
        pixels: uint8 (..., H, W, 3).
        kind: what is kept of x & 7, the three lowest bits of a sample. ``binary``: 255 where one of them is set, else 0
            (the paper). ``levels``: (x & 7) * 36, eight levels from 0 to 252 (the released code). ``planes``: each bit
            apart, 0 or 255: channels red bit 0 (the lowest), 1, 2, green bit 0, ... (ours).

    Returns:
        uint8 (..., H, W, C), C as `channels` says.

    Raises:
        UserError: an unknown kind.
    """
    low = pixels & np.uint8(7)
    if kind == "levels":
        return low * np.uint8(36)
    if kind == "binary":
        return (low != 0) * np.uint8(255)
    if kind == "planes":
        bits = (low[..., None] >> np.arange(3, dtype=np.uint8)) & np.uint8(1)
        return bits.reshape(*pixels.shape[:-1], 9) * np.uint8(255)
    raise UserError(f"fingerprint {kind!r}: it must be one of {', '.join(KINDS)}")


def full_map(pixels: NDArray[np.uint8], kind: Kind) -> NDArray[np.uint8]:
    """The fingerprint uint8 (H, W, 3) of one image, squashed to uint8 (256, 256, C) by Pillow's bilinear resize.

    The aspect ratio is not kept, as in the released code.
    """
    found = fingerprint(pixels, kind)
    parts = np.split(found, found.shape[-1] // 3, axis=-1)
    resized = [np.asarray(Image.fromarray(part).resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for part in parts]
    return np.concatenate(resized, axis=-1)
