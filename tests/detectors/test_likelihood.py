"""The condition is averaged over, exactly where all are kept."""

from __future__ import annotations

import pytest
import torch
from tiny_generators import infinity, llamagen, taming, var

from iarbench.detectors.likelihood import averaged, icas
from iarbench.nn.sampling import Streams

THREE = [0, 1, 2]


@pytest.mark.parametrize("made", [llamagen, var, taming])
def test_all_conditions_give_the_mean_likelihood(made) -> None:  # type: ignore[no-untyped-def]
    generator = made()
    tokens = generator.sample_tokens(torch.tensor([0, 1, 2, 2]), Streams(range(4)))
    found = averaged(generator, tokens, THREE, kept=3)
    each = [generator.log_probabilities(tokens, torch.full((4,), one)).sum(1).exp() for one in THREE]
    torch.testing.assert_close(found.conditional.sum(1), torch.stack(each).mean(0).log(), rtol=1e-4, atol=1e-4)
    if made is taming:
        assert not found.unconditional.any()
    else:
        expected = generator.log_probabilities(tokens, torch.zeros(4, dtype=torch.long), dropped=True)
        torch.testing.assert_close(found.unconditional, expected)


def test_the_likeliest_by_the_beginning_is_kept() -> None:
    generator = llamagen()  # four tokens without scales: the first one decides
    tokens = generator.sample_tokens(torch.tensor([0, 1, 2, 2, 0, 1]), Streams(range(6)))
    found = averaged(generator, tokens, THREE, kept=1)
    first = torch.stack([generator.log_probabilities(tokens, torch.full((6,), one))[:, 0] for one in THREE], 1)
    expected = generator.log_probabilities(tokens, first.argmax(1))
    torch.testing.assert_close(found.conditional, expected)
    assert len(set(first.argmax(1).tolist())) > 1


def test_prompts_are_averaged_over_too_and_images_stand_alone() -> None:
    generator, prompts = infinity(), ["a", "bcd", "ef"]
    tokens = generator.sample_tokens(["a", "bcd", "ef", "a"], Streams(range(4)))
    together = averaged(generator, tokens, prompts, kept=2)
    for place in range(4):
        alone = averaged(generator, tokens[place : place + 1], prompts, kept=2)
        torch.testing.assert_close(alone.conditional[0], together.conditional[place], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.unconditional[0], together.unconditional[place], rtol=1e-4, atol=1e-5)


def test_icas_by_hand() -> None:
    d = torch.tensor([[0.0, 1.0, -2.0]])
    expected = (0 + 1 / (1.75 + 2.718281828**1.3) - 2 / (1.75 + 2.718281828**-2.6)) / 3
    assert icas(d).item() == pytest.approx(expected, rel=1e-6)
