"""The detector `fusion`: it tells own images from others, clean and attacked, and says so of each image alone."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from iarbench.detectors.fusion import Fusion
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.fit_batch import FitBatch
from iarbench.testing import check_detector, toy_images, toy_target


def as_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def evidence(pixels: np.ndarray, learnt: dict[str, Tensor] | None = None) -> Evidence:
    return Evidence(toy_target(), as_tensor(pixels), learnt=learnt)


def batches(sides: tuple[bool, ...] = (True, False)) -> list[FitBatch]:
    """Two batches, each of eight images of the toy and eight of one with other levels."""
    found = []
    for seed in (1, 2):
        pixels = np.concatenate([toy_images(8, seed, 0 if own else 25) for own in sides])
        own = torch.tensor(sides).repeat_interleave(8)
        sources = tuple("toy-a" if one else "toy-b" for one in own)
        found.append(FitBatch(evidence(pixels), own, sources, torch.zeros_like(own)))
    return found


@pytest.fixture(scope="module")
def learnt() -> dict[str, Tensor]:
    return Fusion().fit(batches())


def test_keeps_what_every_detector_promises() -> None:
    check_detector(Fusion())


def jpeg(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=75, subsampling=0)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("change", [lambda one: one, jpeg])
def test_own_images_have_positive_log_odds_and_others_negative_ones(
    change: Callable[[np.ndarray], np.ndarray], learnt: dict[str, Tensor]
) -> None:
    own, other = (np.stack([change(one) for one in toy_images(20, 5, offset)]) for offset in (0, 25))
    scores = [Fusion().score(evidence(pixels, learnt))["fusion"] for pixels in (own, other)]
    assert (scores[0] > 0).float().mean() > 0.9
    assert (scores[1] < 0).float().mean() > 0.9


def test_what_is_learnt_is_the_same_every_time(learnt: dict[str, Tensor]) -> None:
    again = Fusion().fit(batches())
    assert all(torch.equal(again[name], value) for name, value in learnt.items())


def test_a_score_is_of_its_image_alone(learnt: dict[str, Tensor]) -> None:
    pixels = toy_images(6, 7, None)
    together = Fusion().score(evidence(pixels, learnt))["fusion"]
    for place in range(6):
        alone = Fusion().score(evidence(pixels[place : place + 1], learnt))["fusion"]
        torch.testing.assert_close(alone[0], together[place], rtol=1e-4, atol=1e-4)


def test_signals_that_never_varied_are_not_blown_up() -> None:
    flat = np.full((32, 16, 16, 3), 102, np.uint8)
    some = [FitBatch(evidence(flat), torch.arange(32) % 2 == 0, ("a", "b") * 16, torch.zeros(32).bool())]
    found = Fusion().fit(some)
    assert (found["deviation"] == 1).any()
    scores = Fusion().score(evidence(toy_images(4, 3, 25), found))["fusion"]
    assert scores.isfinite().all()
    assert scores.abs().max() < 1e3


def test_even_odds_are_of_as_many_own_images_as_others() -> None:
    evidences = evidence(np.concatenate([toy_images(8, 1, 0), toy_images(24, 2, 0)]))  # nothing tells them apart
    own = torch.arange(32) < 8
    found = Fusion().fit([FitBatch(evidences, own, ("a",) * 8 + ("b",) * 24, torch.zeros(32).bool())])
    scores = Fusion().score(evidence(toy_images(200, 4, 0), found))["fusion"]
    assert abs(scores.median().item()) < 1


@pytest.mark.parametrize("own", [True, False])
def test_one_side_alone_is_refused(own: bool) -> None:
    with pytest.raises(UserError, match="of one side only"):
        Fusion().fit(batches((own,)))
