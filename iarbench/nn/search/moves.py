"""Local moves: free the tokens of a window, decode them anew with all others held, keep what lowers the error.

The windows are the same for every image, so the matrices of a window are factorised once a model as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iarbench.nn.search.gaussian import in_tokens
from iarbench.nn.search.icm import ConditionalModes
from iarbench.nn.search.linear import LinearMap
from iarbench.nn.search.prior import Prior
from iarbench.nn.search.propagation import propagate
from iarbench.nn.search.schedule import Schedule, build

# Half the side of a window, as a share of the map's side, and the most tokens that it may free: the cost is cubic.
REACH = (0.15, 0.3)
MOST_FREE = 56
SWEEPS = 3


@dataclass(frozen=True, slots=True)
class Window:
    """Free token positions (n,), their classes for conditional modes, and how to decode them."""

    tokens: Tensor
    classes: tuple[Tensor, ...]
    schedule: Schedule


def make_windows(modes: ConditionalModes, prior: Prior, count: int, levels: Sequence[float]) -> tuple[Window, ...]:
    """``count`` windows at random places; every other one leaves the coarser half of the scales alone."""
    linear, generator = modes.linear, torch.Generator().manual_seed(0)
    windows = []
    for i in range(count):
        row, column, size = torch.rand(3, generator=generator).tolist()
        first_scale = len(linear.patch_nums) // 2 if i % 2 else 0
        tokens = _inside(linear, (row, column), REACH[0] + (REACH[1] - REACH[0]) * size, first_scale)
        rows = linear.columns[tokens].flatten(0, 1)
        schedule = build(in_tokens(rows @ rows.T, linear.dim), linear.codes, prior, linear.scale[tokens], levels)
        windows.append(Window(tokens, tuple(modes.within(tokens)), schedule))
    return tuple(windows)


def _inside(linear: LinearMap, centre: tuple[float, float], reach: float, first_scale: int) -> Tensor:
    """Tokens whose cell touches the square of half side ``reach``, which shrinks until they are few enough."""
    far = torch.cat([_distance(n, centre) for n in linear.patch_nums]).to(linear.scale.device)
    allowed = linear.scale >= first_scale
    while int((allowed & (far < reach)).sum()) > MOST_FREE:
        reach *= 0.9
    return torch.nonzero(allowed & (far < reach)).squeeze(1)


def _distance(n: int, centre: tuple[float, float]) -> Tensor:
    """Largest coordinate distance (n * n,) of the cells of an n x n grid on the unit square to a point."""
    at = (torch.arange(n) + 0.5) / n
    rows, columns = ((at - c).abs() - 0.5 / n for c in centre)
    return torch.maximum(rows.unsqueeze(1), columns).flatten()


def move(window: Window, modes: ConditionalModes, y: Tensor, tokens: Tensor) -> Tensor:
    """Tokens (B, L) for features without offset (B, D), of no larger error than those given."""
    linear = modes.linear
    rows = linear.columns[window.tokens].flatten(0, 1)
    residual = linear.residual(y, tokens)
    target = residual + linear.codes[tokens[:, window.tokens]].flatten(1) @ rows
    *_, found = propagate(window.schedule, linear.codes, target @ rows.T)
    trial = tokens.clone()
    trial[:, window.tokens] = found
    return keep_lower(linear, y, modes.run(y, trial, SWEEPS, window.classes), tokens)


def keep_lower(linear: LinearMap, y: Tensor, trial: Tensor, tokens: Tensor) -> Tensor:
    """For each image the ``trial`` if its error is clearly the lower one, else the ``tokens`` (B, L)."""
    new, old = (linear.residual(y, t).square().sum(1) for t in (trial, tokens))
    # By a margin above rounding, so that no later recomputation of the error turns the order round.
    return torch.where((new < (1 - 1e-5) * old).unsqueeze(1), trial, tokens)
