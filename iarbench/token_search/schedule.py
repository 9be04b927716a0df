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

from iarbench.token_search.prior import Prior

DAMPING = 0.7
# Tokens of an image may be decided later than on average, and an image cannot recover from precisions that take them as
# decided. So a share of the tokens is always taken to be undecided: this times the noise level's share of the power.
DOUBT = 0.5
DRAWS = 512
SPREAD_FLOOR = 1e-6
# No site knows less than the prior, nor more than this many times as much.
MOST_KNOWN = 1e5


class Solve(Protocol):
    """The Gaussian half of an iteration: the images' data and site vectors h (n, B, C) to cavity vectors (n, B, C)."""

    def __call__(self, data: Tensor, h: Tensor) -> Tensor: ...


Factor = Callable[[Tensor, float], tuple[Solve, Tensor]]
"""Site precisions (n, C, C) and a noise level to the Gaussian half and the cavity precisions (n, C, C)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One iteration for n tokens: ``bias`` (n, V) is log p(v) - x_v' P x_v / 2 of the codes x_v from their centre,
    ``tilted`` (n, C, C) the precision of the codes so weighed.
    """

    solve: Solve
    bias: Tensor
    tilted: Tensor


@dataclass(frozen=True, slots=True)
class Schedule:
    """All iterations, and the mean codes (n, C) of the prior.

    Everything is measured from these: precisions grow to a million, and a million times a common part of all codes
    would be mostly rounding.
    """

    centre: Tensor
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
    centre = prior.mean[scale]
    generator = torch.Generator().manual_seed(0)
    steps = []
    undecided, root = torch.linalg.inv(precision), torch.linalg.cholesky(precision)
    for share in levels:
        solve, cavity = factor(precision, share * power)
        bias = prior.log_p[scale] - 0.5 * torch.stack(
            [(((codes - c) @ p) * (codes - c)).sum(1) for p, c in zip(cavity, centre, strict=True)]
        )
        spread = _spread(cavity, bias, codes, prior, scale, generator)
        tilted = torch.linalg.inv(spread + DOUBT * share * undecided)
        site = _clipped(tilted - cavity, root)
        precision = torch.lerp(precision, site, DAMPING)
        # Site vectors have to fit the precision that the site is given: where that was clipped, ``tilted`` was too.
        steps.append(Step(solve, bias, cavity + site))
    return Schedule(centre, tuple(steps))


def _spread(
    cavity: Tensor, bias: Tensor, codes: Tensor, prior: Prior, scale: Tensor, generator: torch.Generator
) -> Tensor:
    """Expected covariance (n, C, C) of the code given its cavity, averaged over the positions of a scale."""
    result = torch.empty_like(cavity)
    draws = prior.draw(DRAWS, generator)
    roots = torch.linalg.cholesky(cavity)  # P = R R', so R e is noise of covariance P
    for k in torch.unique(scale).tolist():
        drawn, noise = draws[k], _normal(DRAWS, codes.shape[1], generator).to(codes)
        places = torch.nonzero(scale == k).squeeze(1)
        which = places[torch.arange(DRAWS, device=places.device) % len(places)]
        x = codes - prior.mean[k]
        q = (cavity[which] @ x[drawn].unsqueeze(2) + roots[which] @ noise.unsqueeze(2)).squeeze(2)
        w = torch.softmax(bias[which] + q @ x.T, dim=1)
        z = w @ x
        result[places] = (x * w.mean(0).unsqueeze(1)).T @ x - z.T @ z / DRAWS
    return result + SPREAD_FLOOR * torch.eye(codes.shape[1]).to(codes)


def _normal(count: int, dim: int, generator: torch.Generator) -> Tensor:
    """Drawn in float64: float32 is drawn in other ways on other processors."""
    return torch.randn(count, dim, generator=generator, dtype=torch.float64)


def _clipped(blocks: Tensor, root: Tensor) -> Tensor:
    """The nearest precisions of 1 to ``MOST_KNOWN`` times the prior's, which is R R' (R = ``root``): these keep the
    next factorisation sound.
    """
    relative = torch.linalg.solve_triangular(root, blocks, upper=False)
    relative = torch.linalg.solve_triangular(root, relative.mT, upper=False)
    values, vectors = torch.linalg.eigh(relative)
    back = root @ vectors
    return (back * values.clamp(1.0, MOST_KNOWN).unsqueeze(-2)) @ back.mT
