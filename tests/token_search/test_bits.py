"""The token search of Infinity's binary quantiser."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.nn.binary_quantize import BinaryQuantizer
from iarbench.token_search import MODES_ONLY, Budget, search_bits
from iarbench.token_search.solvers import solve
from iarbench.token_search.sources import one_channel

QUANTIZER = BinaryQuantizer(16, (1, 2, 4, 6))
LENGTH = 57
SMALL = Budget(iterations=16, moves=4)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


BITS = random(6, LENGTH, QUANTIZER.dim) > 0


def lookup(tokens: Tensor) -> Tensor:
    *_, f_hat = QUANTIZER.cumulative(tokens)
    return f_hat


def greedy(f: Tensor) -> Tensor:
    return torch.cat([step.tokens for step in QUANTIZER.walk(f)], dim=1)


def error(a: Tensor, b: Tensor) -> Tensor:
    """Of each channel (B, dim)."""
    return (a - b).square().flatten(2).mean(2)


def right(tokens: Tensor) -> float:
    return float((QUANTIZER.unpack(tokens) == BITS).float().mean())


def test_linear_map_is_a_channel_of_the_quantizer() -> None:
    linear = one_channel(QUANTIZER, torch.device("cpu"))
    bits = BITS.long().permute(1, 0, 2).flatten(1)
    expected = lookup(QUANTIZER.pack(BITS)).flatten(2).flatten(0, 1).double()
    torch.testing.assert_close(linear.synthesize(linear.codes[bits]), expected, rtol=0, atol=1e-6)


def test_known_bits_are_found_where_greedy_fails() -> None:
    f = lookup(QUANTIZER.pack(BITS))
    found = search_bits(QUANTIZER, f, SMALL)
    assert right(greedy(f)) < 0.85
    assert right(found.tokens) > 0.98
    assert (QUANTIZER.unpack(found.tokens) == BITS).all(1).float().mean() > 0.85, "channels exact"


def test_white_noise_is_met_better_than_by_greedy_and_modes() -> None:
    f = 0.3 * random(6, QUANTIZER.dim, 6, 6)
    errors = [error(search_bits(QUANTIZER, f, budget).features, f).mean() for budget in (MODES_ONLY, SMALL)]
    assert errors[0] < 0.95 * error(lookup(greedy(f)), f).mean()
    assert errors[1] < 0.95 * errors[0]


@pytest.mark.parametrize("budget", [MODES_ONLY, SMALL])
def test_no_channel_is_above_greedy(budget: Budget) -> None:
    on_code, white = lookup(QUANTIZER.pack(BITS)), random(6, QUANTIZER.dim, 6, 6)
    f = torch.cat([on_code, white, on_code + 0.1 * white, torch.zeros_like(white[:1])])
    start, found = greedy(f), search_bits(QUANTIZER, f, budget)
    assert found.tokens.shape == start.shape
    assert found.tokens.dtype == torch.int64
    torch.testing.assert_close(found.features, lookup(found.tokens), rtol=0, atol=0)
    same = (QUANTIZER.unpack(found.tokens) == QUANTIZER.unpack(start)).all(1)
    assert (same | (error(found.features, f) < error(lookup(start), f))).all()


def test_an_image_does_not_depend_on_its_batch() -> None:
    f = lookup(QUANTIZER.pack(BITS)) + 0.05 * random(6, QUANTIZER.dim, 6, 6)
    together = search_bits(QUANTIZER, f, SMALL).tokens
    assert torch.equal(search_bits(QUANTIZER, f.flip(0), SMALL).tokens.flip(0), together)
    assert torch.equal(search_bits(QUANTIZER, f[2:3], SMALL).tokens, together[2:3])


def test_solvers_search_bits_and_the_papers_are_the_greedy_ones() -> None:
    f = lookup(QUANTIZER.pack(BITS)) + 0.01 * random(6, QUANTIZER.dim, 6, 6)  # exact sums have ties
    assert torch.equal(solve(QUANTIZER, f, "reference").tokens, greedy(f))
    assert right(greedy(f)) < 0.9
    assert right(solve(QUANTIZER, f, "ep").tokens) > 0.95


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(UserError, match=r"expected \(B, 16, 6, 6\)"):
        search_bits(QUANTIZER, torch.zeros(1, 8, 6, 6))
