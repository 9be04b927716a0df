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
    codes, phi = quantizer.embedding.weight.detach().double(), quantizer.quant_resi
    scales, side, dim = len(quantizer.patch_nums), quantizer.side, codes.shape[1]
    offset, by_phi = torch.zeros((), device=codes.device), dict[int, list[Tensor]]()
    for k, n in enumerate(quantizer.patch_nums):
        points = _points(n, codes.device)
        if k != scales - 1:
            points = F.interpolate(points, size=(side, side), mode="bicubic")
        by_phi.setdefault(phi.index(k, scales), []).append(points.flatten(1))
        offset = offset + quantizer.upsampled(torch.zeros(1, n * n, dim, device=codes.device), k).flatten().double()
    centre = torch.zeros(dim, dim, 3, 3).to(codes)
    centre[:, :, 1, 1] = torch.eye(dim).to(codes)
    groups = []
    for i, basis in by_phi.items():
        weight = phi.qresi_ls[i].weight.detach().double()  # type: ignore[operator]
        groups.append(Group((1 - phi.ratio) * centre + phi.ratio * weight, torch.cat(basis)))
    return LinearMap(codes, quantizer.patch_nums, groups, offset)


def one_channel(quantizer: BinaryQuantizer, device: torch.device) -> LinearMap:
    """Any channel of Infinity's quantiser: two codes of one number, a token's being its bit; bilinear basis images."""
    codes = torch.tensor([[-1.0], [1.0]], device=device, dtype=torch.float64) / math.sqrt(quantizer.dim)
    basis = torch.cat([sampled(_points(n, device), quantizer.sides[-1]).flatten(1) for n in quantizer.sides])
    offset = torch.zeros(basis.shape[1]).to(codes)
    return LinearMap(codes, quantizer.sides, [Group(torch.ones(1, 1, 1, 1).to(codes), basis)], offset)


def _points(side: int, device: torch.device) -> Tensor:
    """Every image (side^2, 1, side, side) of one lit point, float64."""
    return torch.eye(side**2, device=device, dtype=torch.float64).view(-1, 1, side, side)
