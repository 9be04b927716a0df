from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from iarbench.detector import apply
from iarbench.detectors.trivial import Trivial
from iarbench.evidence import Evidence
from iarbench.images.traits import blockiness, grey_of, high_frequency, sharpness
from iarbench.testing import check_detector, toy_images, toy_target


def test_keeps_what_every_detector_promises() -> None:
    check_detector(Trivial())


def test_the_scores_are_the_properties_of_the_pixels_signed() -> None:
    pixels = toy_images(3, 1, None)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    scores = apply(Trivial(), Evidence(toy_target(), images)).scores
    assert list(scores) == ["file-size", "blockiness", "high-frequency", "sharpness"]
    greys = [grey_of(Image.fromarray(one)) for one in pixels]
    assert scores["blockiness"] == pytest.approx([blockiness(grey) for grey in greys])
    assert scores["high-frequency"] == pytest.approx([-high_frequency(grey) for grey in greys])
    assert scores["sharpness"] == pytest.approx([-sharpness(grey) for grey in greys])


def test_coarser_images_take_fewer_bytes() -> None:
    fine = np.random.default_rng(0).integers(0, 256, (1, 3, 16, 16))
    coarse = fine[:, :, ::4, ::4].repeat(4, axis=2).repeat(4, axis=3)
    images = torch.from_numpy(np.concatenate([coarse, fine])).float() / 255
    first, second = apply(Trivial(), Evidence(toy_target(), images)).scores["file-size"]
    assert first > second
