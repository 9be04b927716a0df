"""Steps that need at least float32, whatever the rest of a module computes in."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32, or as it is in float64: models are sampled in either."""
    return x if x.dtype == torch.float64 else x.float()
