"""Solver ``ep``: the tokens of a multi-scale residual quantiser whose sum lies closest to given features.

The sum of one code a token is a sparse superposition code, and this is its decoding: expectation propagation over all
tokens at once, then over the windows of local moves, each result brought to its nearest local optimum by iterated
conditional modes. Greedy quantisation (VAR, Algorithm 1) is the starting point and is never surpassed in error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.nn.binary_quantize import BinaryQuantizer
from iarbench.nn.filled import filled
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.nn.threads import one_thread
from iarbench.token_search.budget import MODES_ONLY, Budget
from iarbench.token_search.plan import bit_plan_for, plan_for
from iarbench.token_search.refine import refine
from iarbench.tokenizer import Quantized

__all__ = ["MODES_ONLY", "Budget", "search", "search_bits"]

# Images searched together: at most this many, and fewer where their features are more numbers than that in all.
IMAGES = {"cpu": 16, "cuda": 256}
NUMBERS = {"cpu": 2**14, "cuda": 2**21}


@torch.no_grad()
def search(
    quantizer: MultiScaleQuantizer, f: Tensor, budget: Budget | None = None, usage: Tensor | None = None
) -> Quantized:
    """Tokens of low squared error to features ``f`` float (B, C, side, side).

    Args:
        usage: how often each scale uses each code, counts (K, V) over any images of the model. Real codebooks are
            used very unevenly and most of what the search can find it finds by this; None takes all codes as equal.

    The error of each image is at most that of greedy quantisation. A result depends on the features, the model and the
    budget alone: variances are fixed ahead, and one thread works on batches of fixed size, so that even rounding is
    the same whatever other images, batches, threads and runs there are. All that is not well conditioned is float64.
    The first call for a model pays for its factorisations, which later calls from any thread share.

    Raises:
        UserError: ``f`` or ``usage`` has another shape, or ``f`` is empty.
    """
    codes = quantizer.embedding.weight
    _check(f, codes.shape[1], quantizer.side)
    expected = (len(quantizer.patch_nums), len(codes))
    if usage is not None and tuple(usage.shape) != expected:
        raise UserError(f"usage has shape {tuple(usage.shape)}; expected (scales, codes) = {expected}")

    def find(part: Tensor) -> Tensor:
        greedy, _ = quantizer(part)
        plan = plan_for(quantizer, usage)
        return refine(plan, part.flatten(1).double() - plan.linear.offset, greedy.T, budget or Budget()).T

    return _in_batches(f, find, quantizer.lookup)


@torch.no_grad()
def search_bits(quantizer: BinaryQuantizer, f: Tensor, budget: Budget | None = None) -> Quantized:
    """The same for Infinity's quantiser: tokens hold the bits of all channels.

    Channels do not act upon each other, so that each channel of an image is searched as a map of its own.
    """
    _check(f, quantizer.dim, quantizer.sides[-1])

    def find(part: Tensor) -> Tensor:
        greedy, _ = quantizer(part)
        bits = quantizer.unpack(greedy).long().permute(1, 0, 2)  # (L, B, dim)
        plan = bit_plan_for(quantizer, part.device)
        found = refine(plan, part.flatten(2).flatten(0, 1).double(), bits.flatten(1), budget or Budget())
        return quantizer.pack(found.view(bits.shape).transpose(0, 1))

    return _in_batches(f, find, quantizer.lookup)


def _in_batches(f: Tensor, find: Callable[[Tensor], Tensor], lookup: Callable[[Tensor], Tensor]) -> Quantized:
    """Batches filled up to one size: matrix products of another shape may round otherwise."""
    device = f.device.type
    size = max(1, min(IMAGES.get(device, IMAGES["cpu"]), NUMBERS.get(device, NUMBERS["cpu"]) // f[0].numel()))
    tokens, sums = [], []
    with one_thread(), torch.autocast(device, enabled=False):  # variances live by differences that it would round away
        for part in f.float().split(size):
            found = find(filled(part, size))
            tokens.append(found[: len(part)])
            sums.append(lookup(found)[: len(part)])
    return Quantized(torch.cat(tokens), torch.cat(sums))


def _check(f: Tensor, dim: int, side: int) -> None:
    if len(f) == 0 or f.shape[1:] != (dim, side, side):
        raise UserError(f"features have shape {tuple(f.shape)}; expected (B, {dim}, {side}, {side}), at least one")
