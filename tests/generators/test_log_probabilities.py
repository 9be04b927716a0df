"""Log-probabilities of whole token sequences against brute force, and against the logits that sampling uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_generators import infinity, llamagen, rar, taming, var
from torch import Tensor

from iarbench.errors import UserError
from iarbench.generator import Generator
from iarbench.nn.sampling import Greedy, Streams

CLASSES = torch.tensor([0, 2])


Made = Callable[[], Generator]
FAMILIES = [(llamagen, 3, 4), (rar, 3, 4), (taming, 3, 4), (var, 3, 5), (infinity, 4, 5)]
"""How to make it, and how many codes and tokens it has."""
WITH_PROMPTS = {infinity}


def condition(made: Made, count: int) -> Any:
    return ["abc"] * count if made in WITH_PROMPTS else torch.full((count,), 2)


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize(("made", "codes", "length"), FAMILIES)
def test_all_sequences_together_have_probability_one(made: Made, codes: int, length: int, dropped: bool) -> None:
    generator = made()
    every = torch.cartesian_prod(*[torch.arange(codes)] * length)
    conditions = condition(made, len(every))
    if dropped and not generator.drops_condition:
        with pytest.raises(UserError, match="cannot be dropped"):
            generator.log_probabilities(every, conditions, dropped=True)
        return
    found = generator.log_probabilities(every, conditions, dropped=dropped)
    assert found.shape == every.shape
    assert found.double().sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert found.sum(1).exp().std() > 1e-4  # it does depend on the tokens


@pytest.mark.parametrize(
    ("made", "settings", "dropped"),
    [
        (llamagen, {"cfg_scale": 1.0}, False),
        (llamagen, {"cfg_scale": 0.0}, True),
        (rar, {"guidance_scale": 0.0}, False),
        (taming, {}, False),
        (var, {"cfg": 0.0}, False),
        (infinity, {"cfg": 1.0, "top_p": 1.0}, False),
        (infinity, {"cfg": 0.0, "top_p": 1.0}, True),
    ],
)
def test_the_logits_of_sampling_say_the_same(made: Made, settings: dict[str, Any], dropped: bool) -> None:
    generator, trace = made(), []
    conditions = condition(made, 2)
    tokens = generator.sample_tokens(conditions, Streams([1, 2]), trace=trace, **settings)
    found = generator.log_probabilities(tokens, conditions, dropped=dropped)
    torch.testing.assert_close(found, stepwise(made, trace, tokens, generator), rtol=1e-4, atol=1e-5)


def stepwise(made: Made, trace: list[Tensor], tokens: Tensor, generator: Generator) -> Tensor:
    """Log-probabilities (B, L) out of the logits of every step of sampling."""
    if made not in {var, infinity}:
        return torch.stack(trace, 1).log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    logits = torch.cat(trace, 1).log_softmax(-1)
    if made is var:
        return logits.gather(-1, tokens[..., None])[..., 0]
    bits = generator.tokenizer.quantizer.unpack(tokens).long()
    return logits.gather(-1, bits[..., None])[..., 0].sum(-1)


@pytest.mark.parametrize(("made", "codes", "length"), FAMILIES)
def test_the_beginning_of_a_sequence_is_as_likely_alone(made: Made, codes: int, length: int) -> None:
    generator = made()
    tokens = generator.sample_tokens(condition(made, 3), Streams([1, 2, 3]))
    whole = generator.log_probabilities(tokens, condition(made, 3))
    first = generator.scales(length)[0] if made in {var, infinity} else 2
    part = generator.log_probabilities(tokens[:, :first], condition(made, 3))
    torch.testing.assert_close(part, whole[:, :first])
    assert sum(generator.scales(length)) == length


def test_the_condition_counts() -> None:
    generator = llamagen()
    tokens = generator.sample_tokens(CLASSES, Greedy())
    one, other = (generator.log_probabilities(tokens, classes) for classes in (CLASSES, CLASSES.flip(0)))
    assert (one - other).abs().max() > 0.01
