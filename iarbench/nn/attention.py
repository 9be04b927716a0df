"""What the families' transformers share: key-value cache, RMSNorm, GELU feed-forward and 2-D rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.nn.precision import at_least_float32


class KVCache:
    """Keys and values (B, heads, positions, head_dim) of the positions seen so far, one pair a layer."""

    def __init__(self) -> None:
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append the new positions of ``layer`` and return all of them."""
        if layer in self._layers:
            past_k, past_v = self._layers[layer]
            k, v = torch.cat([past_k, k], dim=2), torch.cat([past_v, v], dim=2)
        self._layers[layer] = (k, v)
        return k, v


class RMSNorm(nn.Module):
    """x / rms(x) over the last dimension, computed in float32, times a weight."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = at_least_float32(x)
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).type_as(x) * self.weight


class FeedForward(nn.Module):
    """Linear, GELU, linear. ``gelu``: "none" for the exact function, "tanh" for its approximation."""

    def __init__(self, dim: int, hidden: int, gelu: str) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate=self.gelu))


def rotary_2d(rows: Tensor, columns: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (L, head_dim/2) of positions given by ``rows`` and ``columns`` (L,).

    The first half of the channel pairs turns with the row, the second with the column; within each half pair j has
    frequency base^(-2j / (head_dim/2)). Computed in float64, whose rounding no processor's own cosine shows in float32.
    """
    half = head_dim // 2
    frequencies = base ** (-torch.arange(0, half, 2)[: half // 2].double() / half)
    angles = torch.cat([rows[:, None] * frequencies, columns[:, None] * frequencies], dim=-1)
    return angles.cos().float(), angles.sin().float()


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate adjacent channel pairs of x (..., L, head_dim) by angles given as ``cos`` and ``sin`` (L, head_dim/2)."""
    even, odd = at_least_float32(x).unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2).type_as(x)
