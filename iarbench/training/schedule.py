"""The learning-rate schedule of the zoo's trainings."""

from __future__ import annotations

import math


def cosine(step: int, total: int, warmup: int = 100) -> float:
    """Factor on the learning rate: linear warm-up, then a half cosine down to 2 %."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(total - warmup, 1)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
