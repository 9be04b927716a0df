"""The quantisers that can be searched, each as a linear map."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from iarbench.nn.binary_quantize import BinaryQuantizer, sampled
from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.token_search.linear import Group, LinearMap


def multi_scale(quantizer: MultiScaleQuantizer) -> LinearMap:
    """VAR's quantiser: bicubic basis images, a few convolutions ``phi`` with biases."""
    codes, phi = quantizer.embedding.weight.detach().float(), quantizer.quant_resi
    scales, side, dim = len(quantizer.patch_nums), quantizer.side, codes.shape[1]
    offset, by_phi = torch.zeros((), device=codes.device), dict[int, list[Tensor]]()
    for k, n in enumerate(quantizer.patch_nums):
        points = torch.eye(n * n, device=codes.device).view(n * n, 1, n, n)
        if k != scales - 1:
            points = F.interpolate(points, size=(side, side), mode="bicubic")
        by_phi.setdefault(phi.index(k, scales), []).append(points.flatten(1))
        offset = offset + quantizer.upsampled(torch.zeros(1, n * n, dim, device=codes.device), k).flatten()
    centre = torch.zeros(dim, dim, 3, 3, device=codes.device)
    centre[:, :, 1, 1] = torch.eye(dim, device=codes.device)
    groups = []
    for i, basis in by_phi.items():
        weight = phi.qresi_ls[i].weight.detach().float()  # type: ignore[operator]
        groups.append(Group((1 - phi.ratio) * centre + phi.ratio * weight, torch.cat(basis)))
    return LinearMap(codes, quantizer.patch_nums, groups, offset)


def one_channel(quantizer: BinaryQuantizer, device: torch.device) -> LinearMap:
    """Any channel of Infinity's quantiser: two codes of one number, a token's being its bit; bilinear basis images."""
    codes = torch.tensor([[-1.0], [1.0]], device=device) / math.sqrt(quantizer.dim)
    points = [torch.eye(n * n, device=device).view(n * n, 1, n, n) for n in quantizer.sides]
    basis = torch.cat([sampled(p, quantizer.sides[-1]).flatten(1) for p in points])
    offset = torch.zeros(basis.shape[1], device=device)
    return LinearMap(codes, quantizer.sides, [Group(torch.ones(1, 1, 1, 1, device=device), basis)], offset)
