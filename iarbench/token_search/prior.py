"""What is known of a token before an image is seen: how often its scale uses each code."""

from __future__ import annotations

import torch
from torch import Tensor

# Codes a scale has not been seen to use keep this many imaginary uses, shared out by their use on all scales.
SMOOTHING = 0.2
RIDGE = 1e-5


class Prior:
    """Code frequencies of each scale and the Gaussian with their moments.

    ``usage`` is how often each scale used each code, (K, V), any unit of at least one use; None makes all codes equal.

    Attributes:
        log_p: float64 (K, V).
        mean, precision: of the code's vector, float64 (K, C) and (K, C, C).
    """

    def __init__(self, codes: Tensor, scales: int, usage: Tensor | None) -> None:
        counts = torch.zeros(scales, len(codes)).double() if usage is None else usage.detach().cpu().double()
        pooled = counts.sum(0) + 0.5
        pooled = pooled / pooled.sum()
        smoothed = counts + SMOOTHING * len(codes) * pooled
        self.probability = (smoothed / smoothed.sum(1, keepdim=True)).to(codes)
        p, e = self.probability, codes
        mean = p @ e
        covariance = torch.stack([(e * w.unsqueeze(1)).T @ e for w in p]) - mean.unsqueeze(2) * mean.unsqueeze(1)
        ridge = RIDGE * torch.eye(codes.shape[1]).to(codes)
        self.mean, self.precision = mean, torch.linalg.inv(covariance + ridge)
        self.log_p = self.probability.log()

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """``count`` independent codes of each scale, int64 (K, count)."""
        drawn = torch.multinomial(self.probability.cpu(), count, replacement=True, generator=generator)
        return drawn.to(self.probability.device)
