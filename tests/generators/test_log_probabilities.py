"""Log-probabilities of whole token sequences against brute force, and against the logits that sampling uses."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from iarbench.errors import UserError
from iarbench.generator import Generator
from iarbench.generators.infinity import Infinity, InfinityTransformer
from iarbench.generators.llamagen import LlamaGen, LlamaGenTransformer
from iarbench.generators.rar import RAR, RARTransformer
from iarbench.generators.taming import Taming, TamingTransformer
from iarbench.generators.var import VAR, VARTransformer
from iarbench.nn.binary_quantize import BinaryQuantizer
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.nn.sampling import Greedy, Streams

CLASSES = torch.tensor([0, 2])


def shaken(transformer: nn.Module) -> nn.Module:
    """Every weight drawn anew, so that none of its parts is without effect."""
    generator = torch.Generator().manual_seed(0)
    for parameter in transformer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return transformer.eval().requires_grad_(False)


def llamagen() -> Generator:
    sizes = {"dim": 8, "n_layer": 2, "n_head": 2, "multiple_of": 4, "vocab_size": 3, "block_size": 4, "num_classes": 3}
    return LlamaGen(SimpleNamespace(), shaken(LlamaGenTransformer(sizes)), {})


def rar() -> Generator:
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
    sizes |= {"image_seq_len": 4, "codebook_size": 3, "condition_num_classes": 3}
    return RAR(SimpleNamespace(), shaken(RARTransformer(sizes)), {})


def taming() -> Generator:
    sizes = {"vocab_size": 3, "block_size": 4, "n_layer": 2, "n_head": 2, "n_embd": 8}
    return Taming(SimpleNamespace(grid=2), shaken(TamingTransformer(sizes)), {})


def var() -> Generator:
    sizes = {"dim": 8, "depth": 2, "heads": 2, "num_classes": 3, "patch_nums": [1, 2], "vocab_size": 3, "z_channels": 4}
    quantizer = shaken(MultiScaleQuantizer(3, 4, (1, 2), 0.5, 2))
    return VAR(SimpleNamespace(quantizer=quantizer), shaken(VARTransformer(sizes)), {})


def infinity() -> Generator:
    sizes = {"embed_dim": 8, "depth": 2, "num_heads": 2, "text_channels": 128, "text_maxlen": 6, "codebook_dim": 2}
    sizes |= {
        "scale_schedule": [[1, 1, 1], [1, 2, 2]],
        "rope_grid_hw": [2, 2],
        "text_model": "bytes",
        "mlp_ratio": 32.0,
    }
    return Infinity(SimpleNamespace(quantizer=BinaryQuantizer(2, (1, 2))), shaken(InfinityTransformer(sizes)), {})


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
