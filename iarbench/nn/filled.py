"""Batches filled up to one size: the shape of a batch decides how a processor rounds."""

from __future__ import annotations

import torch
from torch import Tensor


def filled(rows: Tensor, size: int) -> Tensor:
    """Rows (B, ...), B at most ``size``, and as many copies of the last one as it takes: (size, ...)."""
    return torch.cat([rows, rows[-1:].expand(size - len(rows), *rows.shape[1:])])
