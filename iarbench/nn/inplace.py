"""Elementwise steps that overwrite their first argument while no gradients are recorded.

Half of a small autoencoder's layers only move memory; a result in the place of its argument costs a tenth less time.
Numbers are the same either way.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def silu(x: Tensor, as_product: bool = False) -> Tensor:
    """SiLU of ``x``, which nobody may read afterwards; ``as_product`` rounds as x * sigmoid(x) does."""
    if not as_product:
        return F.silu(x, inplace=not torch.is_grad_enabled())
    gate = torch.sigmoid(x)
    return x * gate if torch.is_grad_enabled() else gate.mul_(x)


def plus(h: Tensor, x: Tensor) -> Tensor:
    """``h + x``; nobody may read ``h`` afterwards."""
    return h + x if torch.is_grad_enabled() else h.add_(x)
