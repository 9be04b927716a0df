from __future__ import annotations

import pytest
import torch

from iarbench.detectors.aedr import AEDR, EPSILON, PlainAEDR
from iarbench.detectors.encloss import enc_loss
from iarbench.detectors.texture import homogeneity
from iarbench.evidence import Evidence, Target
from iarbench.testing import ToyTokenizer, check_detector, toy_images, toy_target


class Bright(ToyTokenizer):
    """Decodes to 1.5 times the mean colours: beyond the range of pixels for bright images."""

    def decode_native(self, features: torch.Tensor) -> torch.Tensor:
        return super().decode_native(features) * 1.5


@pytest.mark.parametrize("detector", [AEDR(), AEDR("absolute"), PlainAEDR(), PlainAEDR(quantise=True)])
def test_keeps_what_every_detector_promises(detector: AEDR | PlainAEDR) -> None:
    check_detector(detector)


def flat(level: float) -> torch.Tensor:
    return torch.full((1, 3, 16, 16), level)


def test_nothing_is_clamped_between_the_trips() -> None:
    target = Target("bright", "toy", "original", Bright({"cell": 4}, 16), "0" * 64, 16)
    # 0.8 becomes 1.2, which becomes 1.8: errors 0.4^2 and 0.6^2
    ratio = -PlainAEDR().score(Evidence(target, flat(0.8)))["aedr-plain"]
    assert ratio.tolist() == pytest.approx([4 / 9], rel=1e-4)
    assert enc_loss(Evidence(target, flat(0.8))).item() > 1e6  # clamped to 1, the second trip costs nothing


def test_errors_are_those_of_the_range_from_minus_one_to_one() -> None:
    halves = flat(0.0)
    halves[:, :, :, ::2] = 20 / 255  # 10 levels off at each pixel, nothing the second time
    found = PlainAEDR().score(Evidence(toy_target(), halves))["aedr-plain"]
    assert found.tolist() == pytest.approx([-(4 * (10 / 255) ** 2 + EPSILON) / EPSILON], rel=1e-3)


def test_quantise_puts_codebook_features_into_both_trips() -> None:
    # 61 levels: 10 off from the nearest of the grid, which then stays
    found = PlainAEDR(quantise=True).score(Evidence(toy_target(), flat(61 / 255)))["aedr-plain"]
    assert found.tolist() == pytest.approx([-(4 * (10 / 255) ** 2 + EPSILON) / EPSILON], rel=1e-3)
    assert PlainAEDR().score(Evidence(toy_target(), flat(61 / 255)))["aedr-plain"].tolist() == pytest.approx([-1])


@pytest.mark.parametrize("weight", ["square", "absolute"])
def test_aedr_is_the_ratio_times_the_homogeneity(weight: str) -> None:
    pixels = toy_images(4, 3, None)
    evidence = Evidence(toy_target(), torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    ratio = PlainAEDR().score(evidence)["aedr-plain"]
    found = AEDR(weight).score(evidence)["aedr"]  # type: ignore[arg-type]
    assert (found / ratio).tolist() == pytest.approx([homogeneity(one, weight) for one in pixels])  # type: ignore[arg-type]
