"""A multi-scale quantiser as what it is once the tokens are known: a linear map of their codes.

    f_hat = offset + sum_j A_j e[t_j]

Token ``j`` of scale ``k`` reaches the features through one bicubic basis image ``u_j`` and the convolution ``phi`` of
its scale, A_j = phi (u_j ⊗ I_C). Covariances over feature space (D = C * side * side numbers) keep to that structure:
at full size a product of dense matrices would be a hundred times dearer than two convolutions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from iarbench.nn.quantize import MultiScaleQuantizer


class LinearMap:
    """A_j, the offset and the codebook of one quantiser, on its device.

    Attributes:
        codes: float32 (V, C).
        offset: image of all biases, float32 (D,).
        columns: A_j transposed, one row for each number of each token, float32 (L, C, D).
        scale: scale of each token, int64 (L,).
    """

    def __init__(self, quantizer: MultiScaleQuantizer) -> None:
        self.codes = quantizer.embedding.weight.detach().float()
        self.side, self.dim = quantizer.side, self.codes.shape[1]
        self.patch_nums = quantizer.patch_nums
        sizes = torch.tensor([n * n for n in self.patch_nums], device=self.codes.device)
        self.scale = torch.repeat_interleave(torch.arange(len(sizes), device=self.codes.device), sizes)
        self.kernels, self.bases = self._factors(quantizer)
        self.offset, self.columns = self._dense(quantizer)
        self.gram = self.columns @ self.columns.mT  # (L, C, C): A_j' A_j

    def _factors(self, quantizer: MultiScaleQuantizer) -> tuple[list[Tensor], list[Tensor]]:
        """A kernel (C, C, 3, 3) for each convolution ``phi``, and the basis images (n, side * side) it applies to."""
        phi, by_phi = quantizer.quant_resi, dict[int, list[Tensor]]()
        for k, n in enumerate(self.patch_nums):
            points = torch.eye(n * n, device=self.codes.device).view(n * n, 1, n, n)
            if n != self.side:
                points = F.interpolate(points, size=(self.side, self.side), mode="bicubic")
            by_phi.setdefault(phi.index(k, len(self.patch_nums)), []).append(points.flatten(1))
        centre = torch.zeros(self.dim, self.dim, 3, 3, device=self.codes.device)
        centre[:, :, 1, 1] = torch.eye(self.dim, device=self.codes.device)
        kernels = [
            (1 - phi.ratio) * centre + phi.ratio * phi.qresi_ls[i].weight.detach().float()  # type: ignore[operator]
            for i in by_phi
        ]
        return kernels, [torch.cat(basis) for basis in by_phi.values()]

    def _dense(self, quantizer: MultiScaleQuantizer) -> tuple[Tensor, Tensor]:
        offset, columns = torch.zeros((), device=self.codes.device), []
        for k, n in enumerate(self.patch_nums):
            zero = quantizer.upsampled(torch.zeros(1, n * n, self.dim, device=self.codes.device), k)
            unit = torch.eye(n * n * self.dim, device=self.codes.device).view(-1, n * n, self.dim)
            columns.append((quantizer.upsampled(unit, k) - zero).reshape(n * n, self.dim, -1))
            offset = offset + zero.flatten()
        return offset, torch.cat(columns)

    def synthesize(self, x: Tensor) -> Tensor:
        """sum_j A_j x_j (B, D) of vectors (B, L, C), the offset left out."""
        return x.flatten(1) @ self.columns.flatten(0, 1)

    def correlate(self, r: Tensor) -> Tensor:
        """A_j' r (B, L, C) of features (B, D)."""
        return (r @ self.columns.flatten(0, 1).T).unflatten(1, (-1, self.dim))

    def residual(self, y: Tensor, tokens: Tensor) -> Tensor:
        """What tokens (B, L) leave of features without offset (B, D)."""
        return y - self.synthesize(self.codes[tokens])

    def covariance(self, blocks: Tensor) -> Tensor:
        """sum_j A_j B_j A_j' (D, D) of symmetric blocks (L, C, C), in their dtype."""
        total, start = torch.zeros((), device=blocks.device), 0
        for kernel, basis in zip(self.kernels, self.bases, strict=True):
            u = basis.to(blocks.dtype)
            outer = (u[:, :, None] * u[:, None, :]).flatten(1)  # (n, hw * hw)
            b = blocks[start : start + len(u)].flatten(1).T @ outer  # (C * C, hw * hw)
            pixels = self.side**2
            b = b.view(self.dim, self.dim, pixels, pixels).transpose(1, 2).reshape(self.dim * pixels, -1)
            total = total + self._both_sides(F.conv2d, b, kernel)
            start += len(u)
        return total

    def diagonal_blocks(self, matrix: Tensor) -> Tensor:
        """A_j' M A_j (L, C, C) for every token of a symmetric matrix (D, D)."""
        blocks = []
        for kernel, basis in zip(self.kernels, self.bases, strict=True):
            inner = self._both_sides(F.conv_transpose2d, matrix, kernel)
            inner = inner.view(-1, self.side**2)  # (C * hw * C, hw)
            for u in basis.to(matrix.dtype).split(64):
                half = (inner @ u.T).view(self.dim, self.side**2, self.dim, -1)
                blocks.append(torch.einsum("cpej,jp->jce", half, u))
        return torch.cat(blocks)

    def _both_sides(self, convolve: Callable[..., Tensor], matrix: Tensor, kernel: Tensor) -> Tensor:
        """Phi M Phi' (or Phi' M Phi by the transposed convolution) of a symmetric matrix (D, D)."""
        for _ in range(2):
            images = matrix.view(-1, self.dim, self.side, self.side)
            matrix = convolve(images, kernel.to(matrix.dtype), padding=1).flatten(1).T.contiguous()
        return matrix
