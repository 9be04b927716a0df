"""The variances of expectation propagation, worked out ahead of any image.

Every token j has a Gaussian site (G_j, h_j) that stands for "this is one of the codes". Given features of noise level
s, the Gaussian posterior of all tokens leaves each a cavity of precision P_j: what all others say of it. The codes
weighed by that cavity have a mean and a covariance, and these make the next site. The covariances hardly differ between
images, so their average over random codes and random cavity noise (the state evolution of a sparse superposition code,
which is what a sum of one code a token is) replaces them. What an image gets then depends on that image alone, and the
matrix factorisations are shared by all images of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from iarbench.search.prior import Prior

DAMPING = 0.7
# Tokens of an image may be decided later than on average, and an image cannot recover from precisions that take them as
# decided. So a share of the tokens is always taken to be undecided: this times the noise level's share of the power.
DOUBT = 0.5
DRAWS = 512
SPREAD_FLOOR = 1e-6
LEAST_PRECISION = 1.0
MOST_PRECISION = 1e6


class Solve(Protocol):
    """The Gaussian half of an iteration: the images' data and site vectors h (n, B, C) to cavity vectors (n, B, C)."""

    def __call__(self, data: Tensor, h: Tensor) -> Tensor: ...


Factor = Callable[[Tensor, float], tuple[Solve, Tensor]]
"""Site precisions (n, C, C) and a noise level to the Gaussian half and the cavity precisions (n, C, C)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One iteration for n tokens: ``bias`` (n, V) is log p(v) - e_v' P e_v / 2, ``tilted`` (n, C, C) the precision of
    the codes so weighed.
    """

    solve: Solve
    bias: Tensor
    tilted: Tensor


@dataclass(frozen=True, slots=True)
class Schedule:
    """All iterations, and the site vectors (n, C) they start from."""

    start: Tensor
    steps: tuple[Step, ...]


def geometric(first: float, last: float, count: int) -> list[float]:
    """``count`` noise levels from ``first`` down to ``last``."""
    return [first * (last / first) ** (i / max(count - 1, 1)) for i in range(count)]


def build(
    factor: Factor, codes: Tensor, prior: Prior, scale: Tensor, levels: Sequence[float], power: float
) -> Schedule:
    """The schedule of the tokens whose scales are ``scale`` (n,), one step for each noise level, a share of ``power``,
    the variance of a feature.
    """
    precision = prior.precision[scale]
    start = (precision @ prior.mean[scale].unsqueeze(2)).squeeze(2)
    generator = torch.Generator().manual_seed(0)
    steps = []
    undecided = _inverse(precision)
    for share in levels:
        solve, cavity = factor(precision, share * power)
        bias = prior.log_p[scale] - 0.5 * torch.stack([((codes @ p) * codes).sum(1) for p in cavity])
        spread = _spread(cavity, bias, codes, prior, scale, generator)
        tilted = _inverse(spread + DOUBT * share * undecided)
        precision = (1 - DAMPING) * precision + DAMPING * _clipped(tilted - cavity)
        steps.append(Step(solve, bias, tilted))
    return Schedule(start, tuple(steps))


def _spread(
    cavity: Tensor, bias: Tensor, codes: Tensor, prior: Prior, scale: Tensor, generator: torch.Generator
) -> Tensor:
    """Expected covariance (n, C, C) of the code given its cavity, averaged over the positions of a scale."""
    result = torch.empty_like(cavity)
    draws = prior.draw(DRAWS, generator)
    roots = torch.linalg.cholesky(cavity)  # P = R R', so R e is noise of covariance P
    for k in torch.unique(scale).tolist():
        drawn, noise = draws[k], torch.randn(DRAWS, codes.shape[1], generator=generator).to(codes)
        places = torch.nonzero(scale == k).squeeze(1)
        which = places[torch.arange(DRAWS, device=places.device) % len(places)]
        q = (cavity[which] @ codes[drawn].unsqueeze(2) + roots[which] @ noise.unsqueeze(2)).squeeze(2)
        w = torch.softmax(bias[which] + q @ codes.T, dim=1)
        z = w @ codes
        result[places] = (codes * w.mean(0).unsqueeze(1)).T @ codes - z.T @ z / DRAWS
    return result + SPREAD_FLOOR * torch.eye(codes.shape[1]).to(codes)


def _inverse(blocks: Tensor) -> Tensor:
    return torch.linalg.inv(blocks.double()).to(blocks.dtype)


def _clipped(blocks: Tensor) -> Tensor:
    """The nearest precisions with eigenvalues that keep the next factorisation sound."""
    values, vectors = torch.linalg.eigh(blocks.double())
    values = values.clamp(LEAST_PRECISION, MOST_PRECISION)
    return ((vectors * values.unsqueeze(-2)) @ vectors.mT).to(blocks.dtype)
