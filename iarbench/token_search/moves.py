"""Local moves: free the tokens of a window, decode them anew with all others held, keep what lowers the error.

The windows are the same for every image, so the matrices of a window are factorised once a model as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iarbench.token_search.gaussian import in_tokens
from iarbench.token_search.icm import Class, ConditionalModes
from iarbench.token_search.linear import LinearMap
from iarbench.token_search.prior import Prior
from iarbench.token_search.propagation import propagate
from iarbench.token_search.schedule import Schedule, build

# Half the side of a window, as a share of the map's side, and the most numbers that it may free: the cost is cubic.
REACH = (0.15, 0.3)
MOST_FREE = 1024
SWEEPS = 3


@dataclass(frozen=True, slots=True)
class Window:
    """Free token positions (n,), the products A'A (nC, nC) of their columns, their classes for conditional modes, and
    how to decode them.
    """

    tokens: Tensor
    gram: Tensor
    classes: tuple[Class, ...]
    schedule: Schedule


def make_windows(
    modes: ConditionalModes, prior: Prior, count: int, levels: Sequence[float], power: float
) -> tuple[Window, ...]:
    """``count`` windows at random places; every other one leaves the coarser half of the scales alone."""
    linear, generator = modes.linear, torch.Generator().manual_seed(0)
    windows = []
    for i in range(count):
        row, column, size = torch.rand(3, generator=generator).tolist()
        first_scale = len(linear.sides) // 2 if i % 2 else 0
        tokens = _inside(linear, (row, column), REACH[0] + (REACH[1] - REACH[0]) * size, first_scale)
        rows = torch.cat([linear.columns(j, j + 1)[0] for j in tokens.tolist()])
        gram = rows @ rows.T
        schedule = build(in_tokens(gram, linear.dim), linear.codes, prior, linear.scale[tokens], levels, power)
        windows.append(Window(tokens, gram, modes.within(tokens), schedule))
    return tuple(windows)


def _inside(linear: LinearMap, centre: tuple[float, float], reach: float, first_scale: int) -> Tensor:
    """Tokens whose cell touches the square of half side ``reach``, which shrinks until they are few enough."""
    far = torch.cat([_distance(n, centre) for n in linear.sides]).to(linear.scale.device)
    allowed = linear.scale >= first_scale
    while int((allowed & (far < reach)).sum()) * linear.dim > MOST_FREE:
        reach *= 0.9
    return torch.nonzero(allowed & (far < reach)).squeeze(1)


def _distance(n: int, centre: tuple[float, float]) -> Tensor:
    """Largest coordinate distance (n * n,) of the cells of an n x n grid on the unit square to a point."""
    at = (torch.arange(n) + 0.5) / n
    rows, columns = ((at - c).abs() - 0.5 / n for c in centre)
    return torch.maximum(rows.unsqueeze(1), columns).flatten()


def move(window: Window, modes: ConditionalModes, y: Tensor, tokens: Tensor) -> Tensor:
    """Tokens (L, B) for features without offset (B, D), of no larger error than those given."""
    linear, own = modes.linear, window.tokens
    current = linear.codes[tokens[own]] - window.schedule.centre.unsqueeze(1)  # (n, B, C)
    data = linear.correlate(linear.residual(y, tokens))[own]
    data = data + (current.transpose(0, 1).flatten(1) @ window.gram).unflatten(1, (len(own), -1)).transpose(0, 1)
    *_, belief = propagate(window.schedule, linear.codes, data, len(y))
    trial = tokens.clone()
    trial[own] = belief.likeliest(linear.codes)
    return keep_lower(linear, y, modes.run(y, trial, SWEEPS, window.classes), tokens)


def keep_lower(linear: LinearMap, y: Tensor, trial: Tensor, tokens: Tensor) -> Tensor:
    """For each image the ``trial`` if its error is clearly the lower one, else the ``tokens`` (L, B)."""
    new, old = (linear.residual(y, t).square().sum(1) for t in (trial, tokens))
    # By a margin above rounding, so that no later recomputation of the error turns the order round.
    return torch.where(new < (1 - 1e-5) * old, trial, tokens)
