"""Expectation propagation along a frozen schedule."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from iarbench.nn.search.gaussian import blockwise
from iarbench.nn.search.schedule import DAMPING, Schedule


def propagate(schedule: Schedule, codes: Tensor, data: Tensor) -> Iterator[Tensor]:
    """The likeliest codes, int64 (B, n), after each iteration; ``data`` as the schedule's solver wants them."""
    h = schedule.start.expand(len(data), -1, -1)
    for i, step in enumerate(schedule.steps, start=1):
        q = step.solve(data, h)
        logits = q @ codes.T + step.bias
        yield logits.argmax(2)
        if i < len(schedule.steps):
            z = logits.softmax(2) @ codes
            h = (1 - DAMPING) * h + DAMPING * (blockwise(step.tilted, z) - q)
