"""What `d3qe` counts, and that its network learns from codes and from residuals."""

from __future__ import annotations

import math

import pytest
import torch

from iarbench.detectors.codebook_network import Views, _by_the_other_half, learn_network, restored, usage_difference


def test_usage_by_hand() -> None:
    tokens = torch.tensor([[[0, 0]], [[0, 1]], [[2, 2]]])
    fake = torch.tensor([True, True, False])
    # generated: 3, 1, 0 and one each: 4, 2, 1 of 7; real: 0, 0, 2: 1, 1, 3 of 5
    expected = [math.log(4 / 7 * 5), math.log(2 / 7 * 5), math.log(1 / 7 * 5 / 3)]
    assert usage_difference(tokens, fake, 3).tolist() == pytest.approx(expected)


def test_an_image_does_not_count_itself() -> None:
    tokens = torch.tensor([[[0]], [[1]], [[2]], [[3]]])
    fake = torch.tensor([True, False, True, False])
    halves = _by_the_other_half(tokens, fake, 4)
    # nobody else has its code: both sides of the other half have counted it zero times
    assert halves.flatten().tolist() == pytest.approx([0.0] * 4)


def material(of_codes: bool) -> tuple[Views, torch.Tensor]:
    """Images that differ in their codes only, or in their residuals only."""
    generator = torch.Generator().manual_seed(0)
    fake = torch.arange(60) % 2 == 0
    tokens = torch.randint(0, 8, (60, 4, 4), generator=generator)
    residuals = torch.randn(60, 2, 4, 4, generator=generator)
    if of_codes:
        tokens[fake] = tokens[fake] // 2
    else:
        residuals[fake] *= 0.3
    return Views(torch.rand(60, 3, 16, 16, generator=generator), residuals, tokens), fake


@pytest.mark.parametrize("of_codes", [False, True])
def test_it_learns(of_codes: bool) -> None:
    views, fake = material(of_codes)
    state = learn_network(views, fake, 9, epochs=20)
    again = learn_network(views, fake, 9, epochs=20)
    assert all(torch.equal(state[name], again[name]) for name in state)
    scores = restored(state)(views)
    pairs = scores[fake][:, None] > scores[~fake][None]
    assert pairs.float().mean() > 0.9


def test_codes_that_it_never_saw_count_as_one() -> None:
    views, fake = material(True)
    network = restored(learn_network(views, fake, 9, epochs=1))
    unseen = Views(views.images, views.residuals, torch.full_like(views.tokens, 8))
    beyond = Views(views.images, views.residuals, torch.full_like(views.tokens, 8000))
    assert torch.equal(network(unseen), network(beyond))
