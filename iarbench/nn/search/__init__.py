"""Solver ``ep``: the tokens of a multi-scale residual quantiser whose sum lies closest to given features.

The sum of one code a token is a sparse superposition code, and this is its decoding: expectation propagation over all
tokens at once, then over the windows of local moves, each result brought to its nearest local optimum by iterated
conditional modes. Greedy quantisation (VAR, Algorithm 1) is the starting point and is never surpassed in error.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.nn.search.moves import keep_lower, move
from iarbench.nn.search.plan import Plan, plan_for
from iarbench.nn.search.propagation import propagate

__all__ = ["MODES_ONLY", "Budget", "Found", "search"]

SWEEPS = 3
LAST_SWEEPS = 10
POLISH_EVERY = 6
# Images that are searched together, and the most code weights held at once.
TOGETHER = {"cpu": 16, "cuda": 128}
MOST_WEIGHTS = {"cpu": 2**24, "cuda": 2**28}


@dataclass(frozen=True, slots=True)
class Budget:
    """How much to spend: ``iterations`` over all tokens (each also costs the model one factorisation, once), and
    local ``moves``, twice as dear each as an iteration. Fewer than 20 iterations leave propagation unfinished; 0 leave
    it out.
    """

    iterations: int = 24
    moves: int = 0

    def __post_init__(self) -> None:
        if self.iterations < 0 or self.moves < 0:
            raise UserError(f"a search budget needs counts of 0 or more, not {self.iterations} and {self.moves}")


MODES_ONLY = Budget(iterations=0, moves=0)
"""Greedy and iterated conditional modes alone: milliseconds an image, no factorisation."""


@dataclass(frozen=True, slots=True)
class Found:
    """``tokens`` int64 (B, L), all scales, coarse to fine, and the features ``f_hat`` (B, C, side, side) they make."""

    tokens: Tensor
    f_hat: Tensor


@torch.no_grad()
def search(
    quantizer: MultiScaleQuantizer, f: Tensor, budget: Budget | None = None, usage: Tensor | None = None
) -> Found:
    """Tokens of low squared error to features ``f`` float (B, C, side, side).

    Args:
        usage: how often each scale uses each code, counts (K, V) over any images of the model. Real codebooks are
            used very unevenly and most of what the search can find it finds by this; None takes all codes as equal.

    The error of each image is at most that of greedy quantisation. A result depends on the image, the model and the
    budget, not on the other images: variances are fixed ahead, and batches of fixed size keep even rounding the same.
    The first call for a model pays for its factorisations, which stay with ``quantizer``.

    Raises:
        UserError: ``f`` or ``usage`` has another shape, or ``f`` is empty.
    """
    _check(quantizer, f, usage)
    budget, device = budget or Budget(), f.device.type
    # Variances live by differences that TF32 and autocast would round away.
    with torch.autocast(device, enabled=False), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        plan = plan_for(quantizer, usage)
        weights = len(plan.linear.scale) * len(plan.linear.codes)
        size = max(1, min(TOGETHER.get(device, 16), MOST_WEIGHTS.get(device, 2**24) // weights))
        parts = [_padded(quantizer, plan, part, budget, size) for part in f.float().split(size)]
        tokens = torch.cat(parts)
        return Found(tokens, torch.cat([quantizer.lookup(part) for part in tokens.split(size)]))


def _padded(quantizer: MultiScaleQuantizer, plan: Plan, f: Tensor, budget: Budget, size: int) -> Tensor:
    """Tokens of a batch filled up to ``size``: matrix products of another shape may round otherwise."""
    filled = torch.cat([f, f[-1:].expand(size - len(f), -1, -1, -1)]) if len(f) < size else f
    greedy, _ = quantizer(filled)
    return _refine(plan, filled.flatten(1) - plan.linear.offset, greedy, budget)[: len(f)]


def _refine(plan: Plan, y: Tensor, greedy: Tensor, budget: Budget) -> Tensor:
    """Tokens (B, L) for features without offset (B, D), starting from the greedy ones."""
    linear, modes = plan.linear, plan.modes
    best = keep_lower(linear, y, modes.run(y, greedy, LAST_SWEEPS), greedy)
    if budget.iterations:
        last = budget.iterations
        for i, tokens in enumerate(propagate(plan.schedule(last), linear.codes, y), start=1):
            if i % POLISH_EVERY == 0 or i == last:
                best = keep_lower(linear, y, modes.run(y, tokens, SWEEPS), best)
    for window in plan.windows(budget.moves):
        best = move(window, modes, y, best)
    return keep_lower(linear, y, modes.run(y, best, LAST_SWEEPS), best) if budget.iterations or budget.moves else best


def _check(quantizer: MultiScaleQuantizer, f: Tensor, usage: Tensor | None) -> None:
    codes, side = quantizer.embedding.weight, quantizer.side
    if len(f) == 0 or f.shape[1:] != (codes.shape[1], side, side):
        raise UserError(
            f"features have shape {tuple(f.shape)}; expected (B, {codes.shape[1]}, {side}, {side}), at least one"
        )
    expected = (len(quantizer.patch_nums), len(codes))
    if usage is not None and tuple(usage.shape) != expected:
        raise UserError(f"usage has shape {tuple(usage.shape)}; expected (scales, codes) = {expected}")
