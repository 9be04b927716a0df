"""Infinity's quantiser: every channel becomes a sign, scale by scale (Han et al. 2024, arXiv 2412.04431)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from iarbench.nn.quantize import Assignment

#: sides of the released square schedule for 1,024 pixels; smaller images use its beginning
SIDES = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)


def schedule(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Sides of the scales a configuration asks for as ``scale_schedule`` ([1, side, side] each), or ``SIDES``."""
    if "scale_schedule" not in config:
        return SIDES
    if any(frames != 1 or height != width for frames, height, width in config["scale_schedule"]):
        raise ValueError(f"scale_schedule={config['scale_schedule']}: only single square images are supported")
    return tuple(height for _, height, _ in config["scale_schedule"])


def sampled(x: Tensor, side: int) -> Tensor:
    """x (B, C, h, w) at (B, C, side, side), bilinear.

    Done as a video of one frame, as the release does: the two-dimensional form rounds otherwise, and a decoder can
    amplify that a hundredfold.
    """
    return F.interpolate(x[:, :, None], size=(1, side, side), mode="trilinear")[:, :, 0]


@dataclass(frozen=True, slots=True)
class BinaryQuantizer:
    """Multi-scale binary spherical quantisation: every channel of the residual becomes a sign (Infinity, section 3.1).

    A token is int64 and holds the ``dim`` bits of one position, channel 0 in the highest bit as in the release. Tokens
    are (B, L), all scales concatenated, coarse to fine. Codes are vectors of +-1/sqrt(dim). Nothing is learned.
    """

    dim: int
    sides: tuple[int, ...]

    def pack(self, bits: Tensor) -> Tensor:
        """Tokens int64 (...) of bits (..., dim)."""
        return (bits.long() << self._shifts(bits)).sum(-1)

    def unpack(self, tokens: Tensor) -> Tensor:
        """Bits, bool (..., dim), of tokens (...)."""
        return ((tokens[..., None] >> self._shifts(tokens)) & 1).bool()

    def _shifts(self, like: Tensor) -> Tensor:
        return torch.arange(self.dim - 1, -1, -1, device=like.device)

    def split(self, tokens: Tensor) -> list[Tensor]:
        """Tokens (B, L) to one (B, n*n) tensor a scale."""
        return list(torch.split(tokens, [n * n for n in self.sides], dim=1))

    def upsampled(self, bits: Tensor, scale: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Codes of one scale's bits (B, n*n, dim), enlarged to (B, dim, side, side), in ``dtype``."""
        n = self.sides[scale]
        codes = bits.to(dtype).mul(2).sub(1).transpose(1, 2).reshape(len(bits), self.dim, n, n) / math.sqrt(self.dim)
        return sampled(codes, self.sides[-1])

    def reduced(self, features: Tensor, scale: int) -> Tensor:
        """Features (B, dim, side, side) averaged down to ``scale``, as the quantiser sees them."""
        if scale == len(self.sides) - 1:
            return features
        return F.interpolate(features, size=(self.sides[scale], self.sides[scale]), mode="area")

    def next_input(self, f_hat: Tensor, scale: int) -> Tensor:
        """What the transformer sees of a sum of codes before ``scale``: (B, n*n, dim), sampled, not averaged."""
        return sampled(f_hat, self.sides[scale]).flatten(2).transpose(1, 2)

    def walk(self, features: Tensor, flip: float = 0.0) -> Iterator[Assignment]:
        """Greedy assignment of features (B, dim, side, side), scale by scale.

        ``flip`` > 0 is bitwise self-correction (Infinity, section 3.3): a random share, up to ``flip``, of each scale's
        bits is flipped in the sum, so that the tokens of finer scales repair the mistakes of coarser ones.
        """
        f_hat, rest = torch.zeros_like(features), features
        for scale in range(len(self.sides)):
            unit = F.normalize(self.reduced(rest, scale), dim=1).flatten(2).transpose(1, 2)  # (B, n*n, dim)
            bits = unit > 0
            tokens = self.pack(bits)
            if flip:
                share = flip * torch.rand(())
                bits = bits ^ (torch.rand(bits.shape) < share).to(bits.device)
            h = self.upsampled(bits, scale, features.dtype)
            f_hat, rest = f_hat + h, rest - h
            yield Assignment(unit.flatten(0, 1), tokens, f_hat)

    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, dim, side, side) to greedy tokens (B, L) and their summed codes (B, dim, side, side)."""
        steps = list(self.walk(features))
        return torch.cat([step.tokens for step in steps], dim=1), steps[-1].f_hat

    def cumulative(self, tokens: Tensor, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
        """The sum of codes (B, dim, side, side) after each scale of tokens (B, L)."""
        f_hat = torch.zeros((), dtype=dtype, device=tokens.device)
        for scale, part in enumerate(self.split(tokens)):
            f_hat = f_hat + self.upsampled(self.unpack(part), scale, dtype)
            yield f_hat

    def lookup(self, tokens: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Summed codes (B, dim, side, side) of tokens (B, L)."""
        *_, f_hat = self.cumulative(tokens, dtype)
        return f_hat

    def next_scale_inputs(self, sums: Iterable[Tensor]) -> Tensor:
        """Transformer inputs (B, L-1, dim) from the sums after each scale, the last of which is not needed."""
        parts = [self.next_input(f_hat, k) for k, f_hat in enumerate(sums, start=1) if k < len(self.sides)]
        return torch.cat(parts, dim=1)
