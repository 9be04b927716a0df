"""The Gaussian half of expectation propagation, in the two forms that are cheap.

All tokens together outnumber the features, so their posterior is solved in feature space; the few tokens of a local
move are solved in their own space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from iarbench.token_search.linear import LinearMap

LEAST_VARIANCE = 1e-9
MOST_VARIANCE = 1e9


@dataclass(frozen=True, slots=True)
class InFeatures:
    """Cavities by M = s I + sum_j A_j G_j^-1 A_j' (D, D); data are the features y (B, D).

    With m_j = G_j^-1 h_j and g_j = A_j' M^-1 (y - A m), the cavity of token j has the mean m_j + T_j^-1 g_j and the
    covariance T_j^-1 - G_j^-1, T_j = A_j' M^-1 A_j.
    """

    linear: LinearMap
    inverse: Tensor
    site: Tensor
    precision: Tensor
    gain: Tensor

    def __call__(self, data: Tensor, h: Tensor) -> Tensor:
        m = torch.bmm(h, self.site)
        g = self.linear.correlate((data - self.linear.synthesize(m)) @ self.inverse)
        return torch.baddbmm(torch.bmm(m, self.precision), g, self.gain)


@dataclass(frozen=True, slots=True)
class InTokens:
    """Cavities by S = (A'A / s + blockdiag G)^-1 (nC, nC); data are A'y (n, B, C)."""

    covariance: Tensor
    marginal: Tensor
    level: float

    def __call__(self, data: Tensor, h: Tensor) -> Tensor:
        n, batch, dim = h.shape
        known = (data / self.level + h).transpose(0, 1).reshape(batch, n * dim)
        x = (known @ self.covariance).view(batch, n, dim).transpose(0, 1)
        return torch.baddbmm(-h, x, self.marginal)


def in_features(linear: LinearMap) -> Callable[[Tensor, float], tuple[InFeatures, Tensor]]:
    """Factoriser for all tokens of a quantiser."""

    def factor(precision: Tensor, level: float) -> tuple[InFeatures, Tensor]:
        site = torch.linalg.inv(precision)
        matrix = linear.covariance(site)
        matrix.diagonal().add_(level)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
        view = torch.linalg.inv(linear.diagonal_blocks(inverse))  # T_j^-1
        cavity = torch.linalg.inv(_positive(view - site))
        gain = view @ cavity
        return InFeatures(linear, inverse, site, cavity, gain), cavity

    return factor


def in_tokens(gram: Tensor, dim: int) -> Callable[[Tensor, float], tuple[InTokens, Tensor]]:
    """Factoriser for n tokens with A'A = ``gram`` (nC, nC)."""

    def factor(precision: Tensor, level: float) -> tuple[InTokens, Tensor]:
        matrix = gram / level + torch.block_diag(*precision)
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
        n = len(precision)
        blocks = covariance.view(n, dim, n, dim).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
        marginal = torch.linalg.inv(blocks)
        cavity = marginal - precision
        cavity = torch.linalg.inv(_positive(torch.linalg.inv(cavity)))
        return InTokens(covariance, marginal, level), cavity

    return factor


def _positive(covariances: Tensor) -> Tensor:
    """Rounding undone: symmetric, with eigenvalues that a variance can have."""
    values, vectors = torch.linalg.eigh(0.5 * (covariances + covariances.mT))
    return (vectors * values.clamp(LEAST_VARIANCE, MOST_VARIANCE).unsqueeze(-2)) @ vectors.mT
