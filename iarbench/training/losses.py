"""Reconstruction and adversarial losses of tokenizer training."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from iarbench.tokenizer import Tokenizer
from iarbench.training.precision import mixed


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 + 0.5 MSE + 0.5 L1 of the horizontal and vertical differences, over images (B, 3, H, W) in [-1, 1]."""
    error = output - target
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + 0.5 * error.square().mean() + 0.5 * edges


def isotropy_loss(features: Tensor, window: int = 1, variance: float = 1.0) -> Tensor:
    """Squared distance a number of the covariance of features (B, C, h, w), over all positions, from the identity.

    A codebook fits what varies: without it features settle in two or three directions, codes crowd there, and no
    encoder reads a decoded image finely enough to tell which code it was made from. A ``window`` of 2 takes the
    covariance of the 4C numbers of 2 x 2 neighbours: features that vary as much between neighbours as across the
    picture leave the fine scales of a residual quantiser as much to say as the coarse ones. Codes of fixed length, as
    Infinity's signs, need a ``variance`` that they reach: the covariance is divided by it first.
    """
    rows = F.unfold(features, window).movedim(1, -1).flatten(0, -2)  # (positions, C * window**2)
    rows = rows - rows.mean(0)
    covariance = rows.T @ rows / (len(rows) * variance)
    return (covariance - torch.eye(len(covariance), device=rows.device)).square().sum() / len(covariance)


def latent_loss(tokenizer: Tokenizer, decoded: Tensor, f_z: Tensor) -> Tensor:
    """Mean squared feature error when the encoder reads decoded native images (B, 3, H, W) of features f_z, in units of
    the variance of f_z: features cannot make it small by shrinking.
    """
    with mixed(decoded.device):
        read = tokenizer.encode_native(decoded.clamp(*tokenizer.native_range))
    return F.mse_loss(read.float(), f_z) / f_z.detach().var()


def symmetric(tokenizer: Tokenizer, native: Tensor) -> Tensor:
    """Images of the tokenizer's native range brought to [-1, 1], so that a loss weighs the same in every family."""
    low, high = tokenizer.native_range
    return (native - low) / (high - low) * 2 - 1


class PatchDiscriminator(nn.Module):
    """Scores overlapping patches of an image as real (high) or decoded (low) (Isola et al. 2017, section 3.2.2).

    Spectral normalisation keeps it Lipschitz, so that a small decoder is not overwhelmed.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in pairwise(widths))
        self.head = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Images (B, 3, H, W) in [-1, 1] to patch scores (B, 1, h, w) and the features of each layer."""
        features = []
        h = images
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.2)
            features.append(h)
        return self.head(h), features


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss on patch scores."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def feature_matching(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean L1 distance of discriminator features, the small zoo's stand-in for a perceptual loss."""
    return torch.stack([F.l1_loss(a, b.detach()) for a, b in zip(fake, real, strict=True)]).mean()
