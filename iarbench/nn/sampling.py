"""From logits to tokens: filtering, and one random stream an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def filter_logits(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Divide by ``temperature``, then keep the ``top_k`` largest (0: all), then the smallest set of mass ``top_p``.

    ``logits`` is (..., V); what is cut becomes -inf. The token that crosses ``top_p`` stays in.
    """
    logits = logits / temperature
    if 0 < top_k < logits.shape[-1]:
        kth = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    if 0 < top_p < 1:
        ordered, index = logits.sort(dim=-1, descending=True)
        mass = ordered.softmax(-1).cumsum(-1)
        cut = (mass - ordered.softmax(-1)) > top_p  # mass before this token already exceeds top_p
        logits = logits.masked_fill(cut.scatter(-1, index, cut), -torch.inf)
    return logits


class Streams:
    """One random stream an image: a draw depends on the image's seed, never on the batch around it."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

    def draw(self, logits: Tensor) -> Tensor:
        """Sample int64 (B, ...) from the softmax of logits (B, ..., V) by inverting its cumulative distribution."""
        home, shape = logits.device, logits.shape[1:-1]
        if home.type == "mps":
            logits = logits.cpu()  # Apple GPUs have no float64
        uniform = torch.stack([torch.rand(shape, generator=g, dtype=torch.float64) for g in self._generators])
        cumulative = logits.double().softmax(-1).cumsum(-1)
        target = uniform.to(logits.device).unsqueeze(-1) * cumulative[..., -1:]
        return torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1).to(home)


class Greedy:
    """Stands in for :class:`Streams` where the likeliest token is wanted."""

    def draw(self, logits: Tensor) -> Tensor:
        """The argmax int64 (B, ...) of logits (B, ..., V)."""
        return logits.argmax(-1)
