"""The same-codec control: what trivial properties still tell when every image is in one and the same codec.

Real images mostly come as JPEG and generated ones as PNG, so that whoever tells the two codecs apart seems to tell the
images apart. Here both sides become JPEG of quality 96 first. A property that separates the stored files and not these
copies is the codec's; one that separates these as well is the picture's.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from PIL import Image

from iarbench.images.decode import encode
from iarbench.images.traits import grey_of
from iarbench.images.trivial import OF_PICTURE

SUFFIX = " as JPEG 96"
NAMES = tuple(f"{name}{SUFFIX}" for name in ("file size", *OF_PICTURE))

Areas = Mapping[str, Mapping[str, Mapping[str, float]]]
"""target -> property -> non-member set -> AUROC."""


def traits_of(image: Image.Image) -> dict[str, float]:
    """The properties `NAMES` of an RGB image, measured on its copy in JPEG 96."""
    data = encode(image, "jpeg96")
    grey = grey_of(Image.open(io.BytesIO(data)))
    found = {f"{name}{SUFFIX}": measure(grey) for name, measure in OF_PICTURE.items()}
    return {f"file size{SUFFIX}": float(len(data))} | found


def control_line(areas: Areas) -> str | None:
    """The most telling property of the stored files, and of the copies in one codec; None where none was measured."""
    found = [
        (abs(area - 0.5), area, name, f"{target} from {other}")
        for target, traits in areas.items()
        for name, by_set in traits.items()
        for other, area in by_set.items()
    ]
    copies, stored = ([one for one in found if one[2].endswith(SUFFIX) == same] for same in (True, False))
    if not copies or not stored:
        return None
    (_, before, first, where), (_, after, second, there) = max(stored), max(copies)
    return (
        "same-codec control: with all images as JPEG 96 the most telling trivial property is "
        f"{second.removesuffix(SUFFIX)}, AUROC {after:.3f} ({there}); "
        f"as stored it is {first}, AUROC {before:.3f} ({where})"
    )
