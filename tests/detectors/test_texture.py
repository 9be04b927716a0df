from __future__ import annotations

from collections import Counter
from math import log2

import numpy as np
import pytest
import torch

from iarbench.content import images_path
from iarbench.detectors.texture import entropy_2d, grey, homogeneity, to_pixels
from iarbench.images.image_set import ImageSet

# What the published code gives for six packaged photographs: RONAN's complexity.py, AEDR's cal_GLCM.py.
OFFICIAL = {
    "flickr/f43fbfe8a9ea876c": (10.034929555961398, 0.5465444825795382),
    "flickr/cc13c2bc5cdd1f44": (10.901146582792865, 0.6062665737318325),
    "flickr/73a52afd2f818ed5": (10.99582754387458, 0.6219586195462232),
    "flickr/90e11aa7c36c64f2": (11.175955366319847, 0.6734830970565227),
    "flickr/df58f94361c6d105": (11.14428761813409, 0.5726298758485588),
    "flickr/1394faa319bd353c": (11.192891646740144, 0.524204188695065),
}


@pytest.fixture(scope="module")
def photographs() -> dict[str, np.ndarray]:
    images = ImageSet.open(images_path("iarbench-mini"))
    return {record.image_id: np.asarray(record.pil()) for record in images.read(list(OFFICIAL))}


def test_both_measures_are_those_of_the_official_code(photographs: dict[str, np.ndarray]) -> None:
    found = {name: (entropy_2d(pixels), homogeneity(pixels)) for name, pixels in photographs.items()}
    assert found == {name: pytest.approx(values, rel=1e-12) for name, values in OFFICIAL.items()}


def test_entropy_is_that_of_counted_pairs() -> None:
    pixels = np.random.default_rng(0).integers(0, 3, (5, 4, 3)).astype(np.uint8) * 60
    levels = np.pad(grey(pixels, swapped=True), 1)
    pairs = Counter(
        (levels[y, x], (levels[y - 1 : y + 2, x - 1 : x + 2].sum() - levels[y, x]) / 8)
        for y in range(1, 6)
        for x in range(1, 5)
    )
    assert entropy_2d(pixels) == pytest.approx(-sum(n / 42 * log2(n / 42) for n in pairs.values()))


def test_a_black_picture_still_has_some_entropy() -> None:
    assert entropy_2d(np.zeros((2, 2, 3), dtype=np.uint8)) == pytest.approx(-0.25 * log2(0.25))


def test_grey_weighs_colours_as_opencv_does_and_ronan_takes_red_for_blue() -> None:
    red, blue = np.uint8([[[255, 0, 0]]]), np.uint8([[[0, 0, 255]]])
    assert grey(red) == grey(blue, swapped=True) == 76
    assert grey(blue) == grey(red, swapped=True) == 29


def test_homogeneity_is_the_mean_weight_of_horizontal_neighbours() -> None:
    row = np.uint8([[0, 7, 8, 255]])  # levels 0 0 1 31
    pixels = np.repeat(row[..., None], 3, axis=2)
    assert homogeneity(pixels) == pytest.approx((1 + 1 / 2 + 1 / (1 + 30**2)) / 3)
    assert homogeneity(pixels, "absolute") == pytest.approx((1 + 1 / 2 + 1 / 31) / 3)


def test_every_level_comes_back_from_a_float_image() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    assert np.array_equal(to_pixels(torch.from_numpy(levels).permute(0, 3, 1, 2).float() / 255), levels)
