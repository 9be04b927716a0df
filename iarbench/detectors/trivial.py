"""Properties of the picture alone, which know nothing of any model: what a detector must beat to have learnt more.

A task whose sides one of these scores tells apart leaks: its sides were not treated alike, or the generator leaves a
trace that needs no model. File size, container, width and height of the files *as stored* are checked with every run
(`iarbench.harness.leak_checks`); a detector sees pixels after an attack, so its `file-size` is that of the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from iarbench.detector import Detector
from iarbench.detectors.predict import pictures
from iarbench.evidence import Evidence
from iarbench.images.traits import blockiness, grey_of, high_frequency, packed_size, sharpness

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

TRAITS: dict[str, Callable[[Image.Image], float]] = {
    "file-size": lambda image: -packed_size(_pixels(image)),
    "blockiness": lambda image: blockiness(grey_of(image)),
    "high-frequency": lambda image: -high_frequency(grey_of(image)),
    "sharpness": lambda image: -sharpness(grey_of(image)),
}
"""Score name -> what it is of one image."""


class Trivial(Detector):
    """Size when stored losslessly, blocks of 8 pixels, fine detail and sharpness, each a score; knows no model.

    The sign is a choice: minus size, detail and sharpness, as small generators make smoother images than cameras do;
    plus blockiness, as their cells are often of 8 pixels. An AUROC far below 0.5 tells as much as one far above.
    """

    name: ClassVar[str] = "trivial"
    reads: ClassVar[frozenset[str]] = frozenset({"image"})
    uses_target: ClassVar[bool] = False
    seconds_per_image: ClassVar[float | None] = 0.0013
    mib_per_image: ClassVar[float | None] = 0.18

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        import torch

        images = pictures(evidence.images)
        return {
            name: torch.tensor([measure(image) for image in images], dtype=torch.float64)
            for name, measure in TRAITS.items()
        }


def _pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image, dtype=np.uint8)
