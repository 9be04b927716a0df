"""Searching the tokens of a multi-scale quantiser that lie closest to a feature map.

The greedy quantiser commits to coarse scales before it has seen the fine ones, so it misses most of the tokens an
image was made from and QuantLoss with it (arXiv 2606.28386, Algorithm 3 and Table 3).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from iarbench.nn.quantize import MultiScaleQuantizer

INITIAL_LOGIT = 0.5


def reference_search(
    quantizer: MultiScaleQuantizer,
    f: Tensor,
    tokens: Tensor,
    fixed_from: int,
    iterations: int = 200,
    lr: float = 0.1,
    tau: tuple[float, float] = (2.0, 0.5),
) -> Tensor:
    """One stage of the paper's search: tokens (B, L) after gradient descent on soft assignments.

    Args:
        f: features (B, C, side, side) to approximate.
        tokens: where to start, int64 (B, L).
        fixed_from: scales from this one on keep their hard codes and get no gradient.
        tau: softmax temperature of the first and the last iteration, geometric in between.

    The loss averages over the batch, so a result depends slightly on the batch, and it may end above its start:
    this is the reference's behaviour, kept for comparison.
    """
    codebook = quantizer.embedding.weight.detach()
    start = quantizer.split(tokens)
    free = [torch.zeros(*t.shape, len(codebook), device=f.device) for t in start[:fixed_from]]
    for logits, t in zip(free, start, strict=False):
        logits.scatter_(-1, t.unsqueeze(-1), INITIAL_LOGIT).requires_grad_(True)
    optimizer = torch.optim.Adam(free, lr=lr)
    with torch.no_grad():
        fixed = [quantizer.upsampled(codebook[t], k) for k, t in enumerate(start) if k >= fixed_from]
        rest = f - torch.stack(fixed).sum(0) if fixed else f
    for step in range(iterations):
        now = tau[0] * (tau[1] / tau[0]) ** (step / max(iterations - 1, 1))
        with torch.enable_grad():
            soft = [quantizer.upsampled((z / now).softmax(-1) @ codebook, k) for k, z in enumerate(free)]
            loss = 0.5 * F.mse_loss(torch.stack(soft).sum(0), rest)
            grads = torch.autograd.grad(loss, free)
        for logits, grad in zip(free, grads, strict=True):
            logits.grad = grad
        optimizer.step()
    return torch.cat([z.detach().argmax(-1) for z in free] + start[fixed_from:], dim=1)
