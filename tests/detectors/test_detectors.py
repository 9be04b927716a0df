from __future__ import annotations

import pytest
import torch

from iarbench.detector import apply
from iarbench.detectors.descent import descend
from iarbench.detectors.encloss import EPSILON
from iarbench.evidence import Evidence
from iarbench.registry import DETECTORS
from iarbench.testing import check_detector, toy_images, toy_target

NAMES = ("quantloss", "quantloss-descent", "encloss", "combined", "reconstruction")


def score(name: str, images: torch.Tensor) -> list[float]:
    return apply(DETECTORS.get(name)(), Evidence(toy_target(), images)).scores[name]


@pytest.mark.parametrize("name", NAMES)
def test_keeps_what_every_detector_promises(name: str) -> None:
    check_detector(DETECTORS.get(name)())


def flat(level: int) -> torch.Tensor:
    return torch.full((1, 3, 16, 16), level / 255)


def test_quantloss_of_a_plain_grey_is_the_squared_distance_to_the_nearest_level() -> None:
    assert score("quantloss", flat(51 + 10)) == pytest.approx([-((10 / 255) ** 2)], rel=1e-5)
    assert score("quantloss", flat(51)) == pytest.approx([0], abs=1e-12)


def test_reconstruction_counts_pixels_decoded_from_quantised_features() -> None:
    assert score("reconstruction", flat(51 + 10)) == pytest.approx([-((10 / 255) ** 2)], rel=1e-5)


def test_encloss_uses_unquantised_features_and_keeps_its_floor() -> None:
    # a plain grey survives the autoencoder exactly, wherever the codebook lies
    assert score("encloss", flat(51 + 10)) == pytest.approx([-1.0], rel=1e-3)
    halves = flat(0).clone()
    halves[:, :, :, ::2] = 20 / 255  # every cell has mean 10: 10 levels off at each pixel, nothing off the second time
    assert score("encloss", halves) == pytest.approx([-((10 / 255) ** 2 + EPSILON) / EPSILON], rel=1e-3)


def test_combined_is_minus_the_product_of_the_two_losses() -> None:
    images = torch.from_numpy(toy_images(6, 3, None)).permute(0, 3, 1, 2).float() / 255
    product = [-(q * e) for q, e in zip(score("quantloss", images), score("encloss", images), strict=True)]
    assert score("combined", images) == pytest.approx(product, rel=1e-5)


@pytest.mark.parametrize("name", ["quantloss", "quantloss-descent", "reconstruction"])
def test_images_of_the_other_toy_score_lower(name: str) -> None:
    own, other = (torch.from_numpy(toy_images(8, 4, o)).permute(0, 3, 1, 2).float() / 255 for o in (0, 25))
    assert min(score(name, own)) > max(score(name, other))


def test_descent_finds_features_that_reproduce_the_image() -> None:
    tokenizer = toy_target().tokenizer
    images = torch.from_numpy(toy_images(4, 2, None)).permute(0, 3, 1, 2).float() / 255
    near = tokenizer.encode(images)
    far = near + 0.1 * torch.randn(near.shape, generator=torch.Generator().manual_seed(0))
    found = descend(tokenizer, images, far)
    before, after = ((tokenizer.decode(f) - images).square().flatten(1).mean(1) for f in (far, found))
    least = (tokenizer.decode(near) - images).square().flatten(1).mean(1)  # the toy's encoder is the best there is
    assert torch.all(after - least < 0.1 * (before - least))
