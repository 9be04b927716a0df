"""Vector quantisers: one nearest code a position, and VAR's multi-scale residual quantiser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def nearest_code(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Index of the closest row of ``codebook`` (V, C) by squared distance for each row of ``vectors`` (N, C)."""
    distance = vectors.square().sum(1, keepdim=True) + codebook.square().sum(1) - 2 * vectors @ codebook.T
    return torch.argmin(distance, dim=1)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One scale of a quantisation: what was coded, (N, C), with which ``tokens`` (B, n*n), and the sum so far."""

    vectors: Tensor
    tokens: Tensor
    f_hat: Tensor


class VectorQuantizer(nn.Module):
    """Nearest code at every position; ``l2_norm`` puts features and codes on the unit sphere first (LlamaGen)."""

    def __init__(self, codebook_size: int, dim: int, l2_norm: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codebook_size, dim)
        self.l2_norm = l2_norm

    @property
    def codes(self) -> Tensor:
        """The codebook as it is compared and looked up, (V, C)."""
        weight = self.embedding.weight
        return F.normalize(weight, dim=-1) if self.l2_norm else weight

    def walk(self, features: Tensor) -> Iterator[Assignment]:
        """The one assignment of features (B, C, h, w)."""
        b, c, h, w = features.shape
        flat = features.permute(0, 2, 3, 1).reshape(-1, c)
        tokens = nearest_code(flat, self.codes).view(b, h * w)
        yield Assignment(flat, tokens, self.lookup(tokens, (h, w)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, h, w) to tokens (B, h*w) in raster order and their codes (B, C, h, w)."""
        (only,) = self.walk(features)
        return only.tokens, only.f_hat

    def lookup(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Codes (B, C, h, w) of tokens (B, h*w)."""
        return self.codes[tokens].transpose(1, 2).reshape(len(tokens), -1, *size)


class SharedResidualConvs(nn.Module):
    """VAR's ``phi``: 0.5 h + 0.5 conv3x3(h) at ratio 0.5, a few convolutions shared by all scales."""

    def __init__(self, dim: int, count: int, ratio: float) -> None:
        super().__init__()
        self.qresi_ls = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in range(count))
        self.ratio = ratio
        # The released models were trained with this irregular spacing for four convolutions.
        margin = 1 / 3 / count if count == 4 else 1 / 2 / count
        self.ticks = np.linspace(margin, 1 - margin, count)

    def index(self, scale: int, n_scales: int) -> int:
        """Which convolution serves ``scale`` (0-based).

        The third of ten scales is exactly between two: the rounding of this very expression is part of the model.
        """
        position = scale / (n_scales - 1) if n_scales > 1 else 0.0
        return int(np.argmin(np.abs(self.ticks - position)))

    def forward(self, h: Tensor, scale: int, n_scales: int) -> Tensor:
        return (1 - self.ratio) * h + self.ratio * self.qresi_ls[self.index(scale, n_scales)](h)


class MultiScaleQuantizer(nn.Module):
    """VAR's residual quantiser: each scale codes what the coarser ones left over (VAR, Algorithm 1).

    Tokens are (B, L) with all scales concatenated, coarse to fine, L = sum of ``patch_nums`` squared. ``usage`` (K, V)
    says how often each scale used each code in training, in any unit; zeros mean that nobody counted.
    """

    usage: Tensor

    def __init__(self, codebook_size: int, dim: int, patch_nums: tuple[int, ...], ratio: float, shared: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codebook_size, dim)
        self.quant_resi = SharedResidualConvs(dim, shared, ratio)
        self.patch_nums = patch_nums
        self.register_buffer("usage", torch.zeros(len(patch_nums), codebook_size))

    @property
    def side(self) -> int:
        """Side of the feature map, the finest scale."""
        return self.patch_nums[-1]

    def split(self, tokens: Tensor) -> list[Tensor]:
        """Tokens (B, L) to one (B, n*n) tensor a scale."""
        return list(torch.split(tokens, [n * n for n in self.patch_nums], dim=1))

    def count(self, tokens: Tensor) -> Tensor:
        """How often each scale uses each code in tokens (B, L): int64 (K, V)."""
        codes = self.embedding.num_embeddings
        return torch.stack([torch.bincount(part.flatten(), minlength=codes) for part in self.split(tokens)])

    def upsampled(self, embedded: Tensor, scale: int) -> Tensor:
        """Contribution (B, C, side, side) of one scale's embeddings (B, n*n, C): bicubic enlargement, then phi."""
        n = self.patch_nums[scale]
        h = embedded.transpose(1, 2).reshape(len(embedded), -1, n, n)
        if scale != len(self.patch_nums) - 1:
            h = F.interpolate(h, size=(self.side, self.side), mode="bicubic")
        return self.quant_resi(h, scale, len(self.patch_nums))

    def reduced(self, features: Tensor, scale: int) -> Tensor:
        """Features (B, C, side, side) averaged down to ``scale``."""
        if scale == len(self.patch_nums) - 1:
            return features
        n = self.patch_nums[scale]
        return F.interpolate(features, size=(n, n), mode="area")

    def walk(self, features: Tensor) -> Iterator[Assignment]:
        """Greedy assignment of features (B, C, side, side), scale by scale."""
        rest, f_hat = features, torch.zeros_like(features)
        for scale in range(len(self.patch_nums)):
            small = self.reduced(rest, scale)
            flat = small.permute(0, 2, 3, 1).reshape(-1, small.shape[1])
            tokens = nearest_code(flat, self.embedding.weight).view(len(features), -1)
            h = self.upsampled(self.embedding(tokens), scale)
            f_hat, rest = f_hat + h, rest - h
            yield Assignment(flat, tokens, f_hat)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, side, side) to greedy tokens (B, L) and their summed codes (B, C, side, side)."""
        steps = list(self.walk(features))
        return torch.cat([step.tokens for step in steps], dim=1), steps[-1].f_hat

    def cumulative(self, tokens: Tensor) -> Iterator[Tensor]:
        """The sum of codes (B, C, side, side) after each scale of tokens (B, L)."""
        f_hat = None
        for scale, part in enumerate(self.split(tokens)):
            h = self.upsampled(self.embedding(part), scale)
            f_hat = h if f_hat is None else f_hat + h
            yield f_hat

    def lookup(self, tokens: Tensor) -> Tensor:
        """Summed codes (B, C, side, side) of tokens (B, L)."""
        *_, f_hat = self.cumulative(tokens)
        return f_hat
