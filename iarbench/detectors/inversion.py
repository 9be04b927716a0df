"""Gradient descent on a decoder's input until it reproduces an image: what RONAN and LatentTracer have in common.

Only the input is trained; no gradient reaches a weight. Every image has a loss of its own, the losses are summed, and
Adam treats every number apart, so that no image moves another. What a thousand steps do, though, depends on the last
bits of the first ones, and a processor rounds by the shape of a batch: there all batches have one shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

GROUP = 4
"""Rows that go through the decoder at once on a CPU; 16 are no more than a tenth quicker at 64 px."""

Decode = Callable[["Tensor"], "Tensor"]
"""Features (B, C, h, w) to images (B, 3, H, W), in the range of what they are compared with."""


def losses_while_inverting(decode: Decode, wanted: Tensor, start: Tensor, rates: Sequence[float]) -> Tensor:
    """Mean squared error of every image before each step of Adam on its features: float32 (B, steps).

    Args:
        decode: what is inverted; float32, whatever the precision of a run.
        wanted: images (B, 3, H, W) to reproduce, in the range of ``decode``.
        start: features (B, C, h, w) to begin with.
        rates: the learning rate of each step. Adam is PyTorch's, betas 0.9 and 0.999, epsilon 1e-8.
    """
    import torch

    from iarbench.nn.filled import filled

    size = len(wanted) if wanted.is_cuda else GROUP
    groups = []
    for begin in range(0, len(wanted), size):
        rows, first = wanted[begin : begin + size], start[begin : begin + size]
        groups.append(_descend(decode, filled(rows, size), filled(first, size), rates)[: len(rows)])
    return torch.cat(groups)


def _descend(decode: Decode, wanted: Tensor, start: Tensor, rates: Sequence[float]) -> Tensor:
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        wanted, features = wanted.detach().clone(), start.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([features])
        losses = []
        for rate in rates:
            optimizer.param_groups[0]["lr"] = rate
            loss = (decode(features) - wanted).square().flatten(1).mean(1)
            losses.append(loss.detach())
            (features.grad,) = torch.autograd.grad(loss.sum(), features)
            optimizer.step()
        return torch.stack(losses, dim=1)


def distinct(images: Tensor) -> tuple[list[int], list[int], list[bytes]]:
    """Images (B, 3, H, W) that are different: a batch may be filled up with copies, which would cost as much.

    Returns:
        The places of the first of each, for every image which of them it equals, and SHA-256 of the pixels of each.
    """
    contents = [hashlib.sha256(one.float().contiguous().cpu().numpy().tobytes()).digest() for one in images]
    found = list(dict.fromkeys(contents))
    return [contents.index(one) for one in found], [found.index(one) for one in contents], found
