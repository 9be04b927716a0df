"""How many threads a computation uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

SMALL = 50_000_000
"""Parameters of a model whose layers are too small to share: threads would wait for each other on a busy machine."""


def threads_for(model: nn.Module) -> AbstractContextManager[None]:
    """One thread for a small model on a CPU, as many as torch takes for any other."""
    first = next(model.parameters())
    alone = first.device.type == "cpu" and sum(p.numel() for p in model.parameters()) < SMALL
    return one_thread() if alone else nullcontext()


@contextmanager
def one_thread() -> Iterator[None]:
    """The calling thread computes alone meanwhile: how a sum is split over threads decides how it is rounded."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
