"""The condition is averaged over, exactly where all are kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny_generators import infinity, llamagen, taming, var

from iarbench.detectors import likelihood
from iarbench.detectors.likelihood import LikelihoodOracle, averaged, icas
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


def test_the_oracle_takes_the_known_condition_and_averages_over_unknown_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = llamagen()
    variant = SimpleNamespace(conditions="class", classes=("a", "b", "c"), num_classes=3, every_condition=THREE)
    monkeypatch.setattr(likelihood.variants, "get", lambda name: variant)
    target = SimpleNamespace(name="tiny", generator=generator)
    tokens = generator.sample_tokens(torch.tensor([2, 1, 0, 0]), Streams(range(4)))
    detector = LikelihoodOracle(conditions=0)
    found = detector._of(target, tokens, ("c", "", "a", "nobody's class"))
    of_known = generator.log_probabilities(tokens, torch.tensor([2, 0, 0, 0]))
    of_unknown = averaged(generator, tokens, THREE, kept=3)
    torch.testing.assert_close(found.conditional[[0, 2]], of_known[[0, 2]])
    torch.testing.assert_close(found.conditional[[1, 3]], of_unknown.conditional[[1, 3]])
    assert not torch.allclose(of_known[[0, 2]], of_unknown.conditional[[0, 2]])
    torch.testing.assert_close(found.unconditional, of_unknown.unconditional)
    none_known = detector._of(target, tokens, ("",) * 4)
    assert none_known.conditional.equal(of_unknown.conditional)


def test_the_oracle_gives_prompts_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, prompts = infinity(), ("a", "bcd")
    variant = SimpleNamespace(conditions="text", classes=prompts, num_classes=2, every_condition=prompts)
    monkeypatch.setattr(likelihood.variants, "get", lambda name: variant)
    tokens = generator.sample_tokens(["ef", "a"], Streams(range(2)))
    found = LikelihoodOracle()._of(SimpleNamespace(name="tiny", generator=generator), tokens, ("ef", "a"))
    torch.testing.assert_close(found.conditional, generator.log_probabilities(tokens, ["ef", "a"]))
