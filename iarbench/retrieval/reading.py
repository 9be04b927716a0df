"""Pixels for galleries and queries, from image sets and from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iarbench.attack import attack_image, parse
from iarbench.images.picture_files import read_picture
from iarbench.progress import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from iarbench.images.image_set import ImageSet


def set_pixels(images: ImageSet, image_ids: Sequence[str], attack: str = "none") -> list[NDArray[np.uint8]]:
    """Images of a set, uint8 (H, W, 3) at their own size, after an attack, in the order of the ids.

    A low-bit fingerprint does not survive resizing, so there is none.

    Raises:
        UserError: an unknown id or attack, or an image that cannot be decoded.
    """
    act = parse(attack)
    found = []
    for record in counted(images.read(image_ids), "reading images", len(image_ids)):
        found.append(np.asarray(attack_image(act, record.pil(), record.image_id)))
    return found


def file_pixels(path: Path) -> NDArray[np.uint8]:
    """The image of a file, uint8 (H, W, 3).

    Raises:
        UserError: it cannot be read or decoded.
    """
    return np.asarray(read_picture(str(path))[0])
