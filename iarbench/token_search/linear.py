"""A multi-scale quantiser as what it is once the tokens are known: a linear map of their codes.

    f_hat = offset + sum_j A_j e[t_j]

Token ``j`` of scale ``k`` reaches the features through one basis image ``u_j`` and the convolution of its scale,
A_j = phi (u_j ⊗ I_C). No image is ever multiplied by the dense map: at full size (680 tokens of 32 numbers, D = 8,192)
that would be twenty times dearer than a product with the basis images and one convolution.

Vectors of tokens are (L, B, C), tokens first; features are flat, (B, D) with D = C * side * side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

# Images convolved at once: as a matrix product a convolution takes nine times their memory.
TOGETHER = 64
# Numbers of the dense map up to which the matrices of a schedule are quicker made by it.
SMALL = 2**22


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive tokens that share a convolution: ``kernel`` (C, C, s, s), s odd, and ``basis`` (n, side * side)."""

    kernel: Tensor
    basis: Tensor


class LinearMap:
    """A_j, the offset and the codebook of one quantiser, on its device.

    Attributes:
        codes: float64 (V, C).
        sides: of the scales, coarse to fine; the last is the side of the features.
        groups: the tokens in order.
        offset: image of all biases, float64 (D,).
        scale: scale of each token, int64 (L,).
        gram: A_j' A_j, float64 (L, C, C).
    """

    def __init__(self, codes: Tensor, sides: Sequence[int], groups: Sequence[Group], offset: Tensor) -> None:
        self.codes, self.dim = codes, codes.shape[1]
        self.sides, self.side = tuple(sides), sides[-1]
        self.groups, self.offset = tuple(groups), offset
        sizes = torch.tensor([n * n for n in self.sides], device=codes.device)
        self.scale = torch.repeat_interleave(torch.arange(len(sizes), device=codes.device), sizes)
        self._into = torch.cat([group.kernel for group in groups], dim=1)  # (C, groups * C, s, s)
        self._back = _adjoint(self._into)
        self.gram = torch.cat([(a := self.columns(*span)) @ a.mT for span in self._spans(64)])

    def _spans(self, most: int) -> list[tuple[int, int]]:
        length = len(self.scale)
        return [(start, min(start + most, length)) for start in range(0, length, most)]

    @cached_property
    def _dense(self) -> Tensor | None:
        """All A_j transposed, float64 (L, C, D), of a map that is small."""
        small = len(self.scale) * self.dim * self.offset.numel() <= SMALL
        return self.columns(0, len(self.scale)) if small else None

    def columns(self, first: int, last: int) -> Tensor:
        """A_j transposed for the tokens from ``first`` to before ``last``, float64 (n, C, D)."""
        parts, start = [], 0
        for group in self.groups:
            own = group.basis[max(first - start, 0) : max(last - start, 0)].view(-1, 1, self.side, self.side)
            start += len(group.basis)
            if len(own):
                # One number of a code at a time: what it puts into each channel.
                each = group.kernel.transpose(0, 1).reshape(-1, 1, *group.kernel.shape[2:])
                parts.append(convolve(own, each).view(len(own), self.dim, self.dim * self.side**2))
        return torch.cat(parts)

    def synthesize(self, x: Tensor) -> Tensor:
        """sum_j A_j x_j (B, D) of vectors (L, B, C), the offset left out."""
        images, start, size = [], 0, (x.shape[1], self.dim, self.side, self.side)
        for group in self.groups:
            part = x[start : start + len(group.basis)].flatten(1)  # (n, B * C)
            images.append((part.T @ group.basis).view(size))
            start += len(group.basis)
        return convolve(torch.cat(images, dim=1), self._into).flatten(1)

    def correlate(self, r: Tensor) -> Tensor:
        """A_j' r (L, B, C) of features (B, D)."""
        images = convolve(r.view(-1, self.dim, self.side, self.side), self._back).chunk(len(self.groups), dim=1)
        parts = [g.basis @ i.reshape(-1, self.side**2).T for g, i in zip(self.groups, images, strict=True)]
        return torch.cat(parts).view(-1, len(r), self.dim)

    def residual(self, y: Tensor, tokens: Tensor) -> Tensor:
        """What tokens (L, B) leave of features without offset (B, D)."""
        return y - self.synthesize(self.codes[tokens])

    def covariance(self, blocks: Tensor) -> Tensor:
        """sum_j A_j B_j A_j' (D, D) of symmetric blocks (L, C, C), in their dtype."""
        if self._dense is not None:
            a = self._dense.to(blocks.dtype)
            return a.flatten(0, 1).T @ torch.bmm(blocks, a).flatten(0, 1)
        total, start, pixels = torch.zeros(()).to(blocks), 0, self.side**2
        for group in self.groups:
            u, own = group.basis.to(blocks.dtype), blocks[start : start + len(group.basis)]
            # (C, hw, C, hw), a row of blocks at a time: all of them would need the outer products of the basis images.
            inner = torch.stack([((u.T * row.T.unsqueeze(1)) @ u).transpose(0, 1) for row in own.unbind(1)])
            total = total + _both_sides(inner.reshape(self.dim * pixels, -1), group.kernel)
            start += len(u)
        return total

    def diagonal_blocks(self, matrix: Tensor) -> Tensor:
        """A_j' M A_j (L, C, C) for every token of a symmetric matrix (D, D)."""
        if self._dense is not None:
            a = self._dense.to(matrix.dtype)
            return torch.bmm((a.flatten(0, 1) @ matrix).view(a.shape), a.mT)
        blocks = []
        for group in self.groups:
            inner = _both_sides(matrix, _adjoint(group.kernel)).view(-1, self.side**2)  # (C * hw * C, hw)
            for u in group.basis.to(matrix.dtype).split(64):
                half = (inner @ u.T).view(self.dim, self.side**2, self.dim, -1)
                blocks.append(torch.einsum("cpej,jp->jce", half, u))
        return torch.cat(blocks)


def convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """Images (N, C, h, w) under a kernel (C', C, s, s) that keeps their size.

    As matrix products: in float64 torch's own convolution takes several times as long on a CPU.
    """
    size = kernel.shape[-1]
    if size == 1 and kernel.shape[0] == kernel.shape[1] == 1:
        return images * kernel.flatten()
    return torch.cat([kernel.flatten(1) @ _patches(part, size) for part in images.split(TOGETHER)]).view(
        len(images), -1, *images.shape[2:]
    )


def _patches(images: Tensor, size: int) -> Tensor:
    """What a kernel of ``size`` sees at each point of images (N, C, h, w): (N, C * size * size, h * w)."""
    seen = F.pad(images, [size // 2] * 4).unfold(2, size, 1).unfold(3, size, 1)  # (N, C, h, w, size, size)
    return seen.permute(0, 1, 4, 5, 2, 3).reshape(len(images), -1, images.shape[2] * images.shape[3])


def _adjoint(kernel: Tensor) -> Tensor:
    return kernel.flip(2, 3).transpose(0, 1).contiguous()


def _both_sides(matrix: Tensor, kernel: Tensor) -> Tensor:
    """Phi M Phi' of a symmetric matrix (D, D)."""
    dim, side = kernel.shape[0], round((len(matrix) / kernel.shape[0]) ** 0.5)
    for _ in range(2):
        matrix = convolve(matrix.view(-1, dim, side, side), kernel.to(matrix.dtype)).flatten(1).T.contiguous()
    return matrix
