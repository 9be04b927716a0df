"""Log-probabilities of tokens: of given ones under logits, and of a mixture of conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def log_probabilities_of(tokens: Tensor, logits: Tensor) -> Tensor:
    """Log-probabilities (nats) of tokens int64 (B, ...) under logits (B, ..., V), in float32 or wider: (B, ...)."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return -F.cross_entropy(wide.flatten(0, -2), tokens.flatten(), reduction="none").view(tokens.shape)


def of_mixture(log_probabilities: Tensor) -> Tensor:
    """Log-probability of every token under an even mixture of conditions, given the tokens before it: float64 (B, L).

    ``log_probabilities``: (B, K, L), log p(t_i | t_<i, c_k) in nats. With s_i(k) their sum over the first i tokens,

        log p(t_i | t_<i) = log mean_k exp s_i(k) - log mean_k exp s_{i-1}(k),

    so that a row's sum is the log of the mean over k of the likelihood of its whole sequence, exactly.
    """
    sums = log_probabilities.double().cumsum(-1)
    marginal = sums.logsumexp(1) - math.log(sums.shape[1])
    return marginal - F.pad(marginal[:, :-1], (1, 0))


def mean_by_scale(values: Tensor, lengths: Sequence[int]) -> Tensor:
    """Means (B, S) over the tokens of each scale of values (B, L); ``lengths``: tokens a scale, coarse to fine."""
    return torch.stack([part.mean(1) for part in values.split(list(lengths), dim=1)], dim=1)
