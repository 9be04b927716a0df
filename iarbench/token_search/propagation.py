"""Expectation propagation along a frozen schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from iarbench.token_search.schedule import DAMPING, Schedule, Step

# Weights of codes held at once while the likeliest are picked.
MOST_WEIGHTS = 2**20


@dataclass(frozen=True, slots=True)
class Belief:
    """What an iteration holds of n tokens: the weight of code v is exp(q_j.e_v + bias_jv), ``q`` float64 (n, B, C).

    Measured from the centre or not, codes e_v get the same weights by q.
    """

    step: Step
    q: Tensor

    def likeliest(self, codes: Tensor) -> Tensor:
        """The codes of most weight, int64 (n, B)."""
        size = max(1, MOST_WEIGHTS // (self.q.shape[1] * len(codes)))
        parts = zip(self.step.bias.unsqueeze(1).split(size), self.q.split(size), strict=True)
        return torch.cat([torch.baddbmm(b, q, codes.T.expand(len(q), -1, -1)).argmax(2) for b, q in parts])

    def mean(self, codes: Tensor) -> Tensor:
        """The mean code (n, B, C) by these weights."""
        if len(codes) == 2:
            low, step = codes[0], codes[1] - codes[0]
            odds = (self.q @ step.unsqueeze(1)) + (self.step.bias[:, 1:] - self.step.bias[:, :1]).unsqueeze(2)
            return low + odds.sigmoid() * step
        # As an attention over the codebook, whose weights never leave the processor's cache; an average of codes by
        # positive weights is well conditioned, so that float32, twice as quick, does.
        keys, bias = codes.float().expand(len(self.q), 1, -1, -1), self.step.bias[:, None, None].float()
        mean = F.scaled_dot_product_attention(self.q.float().unsqueeze(1), keys, keys, attn_mask=bias, scale=1.0)
        return mean.squeeze(1).to(codes.dtype)


def propagate(schedule: Schedule, codes: Tensor, data: Tensor, batch: int) -> Iterator[Belief]:
    """The belief after each iteration; ``data`` of ``batch`` images as the schedule's solver wants them, less what the
    schedule's centre gives there.
    """
    centre = schedule.centre.unsqueeze(1)
    h = torch.zeros_like(centre).expand(-1, batch, -1)
    for step in schedule.steps:
        q = step.solve(data, h)
        belief = Belief(step, q)
        yield belief
        h = torch.lerp(h, torch.baddbmm(-q, belief.mean(codes) - centre, step.tilted), DAMPING)
