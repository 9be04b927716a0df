"""Second phase of a tokenizer's training: its decoder alone sharpens against a patch discriminator.

Encoder and codebook stay as they are, so tokens stay valid and a transformer can train at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from iarbench.tokenizer import Tokenizer
from iarbench.training.checkpoint import fingerprint, set_lr
from iarbench.training.data import random_batch
from iarbench.training.losses import (
    PatchDiscriminator,
    discriminator_loss,
    feature_matching,
    latent_loss,
    reconstruction_loss,
    symmetric,
)
from iarbench.training.precision import mixed
from iarbench.training.schedule import Phase, cosine


@dataclass(frozen=True, slots=True)
class AdversarialRecipe:
    """Numbers of the phase; steps are batches, the learning rate falls along a cosine."""

    steps: int = 1500
    seconds: float | None = None  # a budget in place of the steps
    batch: int = 24
    lr: float = 4e-4
    adversarial_weight: float = 0.1
    matching_weight: float = 1.0
    latent_weight: float = 0.0
    """of :func:`iarbench.training.losses.latent_loss`: above 0 the decoder learns to show everything that the tokens
    say, so that an inverse encoder can read it"""
    opinion_from: float = 0.15  # fraction of the training over which the discriminator's opinion reaches its weight
    average: float = 0.995  # decay of the running mean of the decoder's weights, which is what ships
    seed: int = 1


def train_adversarial(tokenizer: Tokenizer, pixels: Tensor, recipe: AdversarialRecipe, state: Path) -> int:
    """Train the decoder in place on uint8 pixels (N, 3, S, S); the same call continues from ``state``.

    Returns the number of batches.
    """
    torch.manual_seed(recipe.seed)
    tokenizer.eval().requires_grad_(False)
    decoder = tokenizer.decoding_modules().requires_grad_(True)
    device = next(decoder.parameters()).device
    critic = PatchDiscriminator().to(device)
    averages = {"decoder": [p.detach().clone() for p in decoder.parameters()]}
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=recipe.lr, betas=(0.5, 0.95), weight_decay=0)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=recipe.lr, betas=(0.5, 0.95))
    parts = (decoder, optimizer, critic_optimizer, critic, averages)
    about = {"images": len(pixels), "pixels": fingerprint(pixels), "first weights": fingerprint(tokenizer)}
    phase = Phase(
        "adversarial", recipe, state, *parts, about=about, steps=recipe.steps, seconds=recipe.seconds, every=100
    )
    averages["decoder"] = [mean.to(device) for mean in averages["decoder"]]  # a checkpoint gives them on the CPU
    for step in phase:
        for each in (optimizer, critic_optimizer):
            set_lr(each, recipe.lr * cosine(phase.fraction))
        decoded = _decode(tokenizer, random_batch(pixels, recipe.batch).to(device))
        pixel, loss = _decoder_loss(critic, decoded, recipe, min(1.0, phase.fraction / recipe.opinion_from))
        if recipe.latent_weight:
            loss = loss + recipe.latent_weight * latent_loss(tokenizer, decoded.native, decoded.features)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        critic_loss = discriminator_loss(critic(decoded.real)[0], critic(decoded.fake.detach())[0])
        critic_optimizer.zero_grad(set_to_none=True)
        critic_loss.backward()
        critic_optimizer.step()
        # At first the plain mean of all weights so far, so that a short phase does not ship its beginning.
        latest = max(1 - recipe.average, 1 / (step + 1))
        torch._foreach_lerp_(averages["decoder"], [p.detach() for p in decoder.parameters()], latest)
        phase.report(pixel=pixel.item(), critic=critic_loss.item())
    for mean, p in zip(averages["decoder"], decoder.parameters(), strict=True):
        p.data.copy_(mean)
    return phase.step


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Images and their quantised reconstructions, which gradients reach, in [-1, 1]; and what these were made of."""

    real: Tensor
    fake: Tensor
    native: Tensor  # the reconstructions in the tokenizer's range
    features: Tensor


def _decode(tokenizer: Tokenizer, images: Tensor) -> _Decoded:
    """Images (B, 3, H, W) in [0, 1] through the tokenizer."""
    with torch.no_grad():
        with mixed(images.device):
            f = tokenizer.encode(images)
        f_z = tokenizer.quantize(f.float()).features
    with mixed(images.device):
        native = tokenizer.decode_native(f_z)
    native = native.float()
    return _Decoded(2 * images - 1, symmetric(tokenizer, native), native, f_z)


def _decoder_loss(
    critic: PatchDiscriminator, decoded: _Decoded, recipe: AdversarialRecipe, ramp: float
) -> tuple[Tensor, Tensor]:
    """The pixel loss, and the whole loss of the decoder; ``ramp`` lets the critic's opinion in gently."""
    score, features = critic(decoded.fake)
    with torch.no_grad():
        _, real_features = critic(decoded.real)
    pixel = reconstruction_loss(decoded.fake, decoded.real)
    opinion = recipe.adversarial_weight * ramp * score.mean()
    return pixel, pixel - opinion + recipe.matching_weight * feature_matching(features, real_features)
