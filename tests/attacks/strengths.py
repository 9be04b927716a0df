"""Every attack at several strengths, for tests that go over all of them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from iarbench.content import images_path
from iarbench.images.image_set import ImageSet

MONOTONE: dict[str, list[str]] = {
    "jpeg": ["jpeg95", "jpeg80", "jpeg60", "jpeg30", "jpeg10"],
    "webp": ["webp95", "webp80", "webp60", "webp30", "webp5"],
    "avif": ["avif95", "avif80", "avif60", "avif30", "avif5"],
    "blur with a fixed deviation": [f"blur:kernel=9,sigma={sigma}" for sigma in (0.5, 1, 2, 5)],
    "gaussblur": ["gaussblur0.5", "gaussblur1", "gaussblur2", "gaussblur5", "gaussblur20"],
    "median": ["median3", "median5", "median9", "median17"],
    "noise": ["noise0.01", "noise0.05", "noise0.1", "noise0.2"],
    "brightness": ["brightness1.1", "brightness1.4", "brightness2"],
    "darkness": ["brightness0.9", "brightness0.5", "brightness0.1"],
    "contrast": ["contrast1.2", "contrast2", "contrast3"],
    "saturation": ["saturation1.2", "saturation2", "saturation3"],
    "sharpness": ["sharpness1.5", "sharpness2", "sharpness4"],
    "smoothness": ["sharpness0.75", "sharpness0.5", "sharpness0"],
    "hue": ["hue0.02", "hue0.1", "hue0.25", "hue0.5"],
    "resize": ["resize0.9", "resize0.5", "resize0.25"],
    "crop": ["crop0.98", "crop0.9", "crop0.7"],
    "crop in a corner": [f"crop:scale={scale},place=corner" for scale in (0.98, 0.9, 0.7)],
    "crop anywhere": [f"crop:scale={scale},place=random" for scale in (0.98, 0.9, 0.6)],
    "crop on a grid": [f"crop:scale={scale},grid=8" for scale in (0.9, 0.75, 0.5)],
    "rotate": ["rotate0.5", "rotate2", "rotate10", "rotate45"],
    "erase": ["erase0.01", "erase0.05", "erase0.25"],
    "text": ["text0.05", "text0.1", "text0.2"],
    "social": ["social95", "social75", "social40", "social10"],
    "regenerate": [f"regenerate:model=rar-mini,rounds={rounds}" for rounds in (1, 4)],
    "tokens": [f"tokens:share={share},model=rar-mini" for share in (0.01, 1)],
    "bits": [f"tokens:share={share},model=infinity-mini" for share in (0.01, 0.1, 0.3)],
    "tokens of several scales": [f"tokens:share={share},model=var-mini" for share in (0.01, 1)],
}
"""Weak to strong."""

OTHERS = ["none", "flip", "grey", "blur5", "blur9", "screenshot1", "screenshot1.25", "screenshot2"]
"""Those without a strength, or whose docstring says that it is not monotone."""

EVERY = [*OTHERS, *(names[-1] for names in MONOTONE.values())]


def pictures(count: int = 8) -> list[Image.Image]:
    """Test images of the packaged set, photographs and generated ones, 64 pixels."""
    images = ImageSet.open(images_path("iarbench-mini"))
    index = images.index()
    first = index[index["split"] == "test"].groupby("source").head(1)["image_id"].tolist()
    return [record.pil() for record in images.read(first[:count])]


def psnr(before: Image.Image, after: Image.Image) -> float:
    error = np.square(np.asarray(before, dtype=float) - np.asarray(after, dtype=float)).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")
