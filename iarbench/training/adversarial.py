"""Second phase of a tokenizer's training: its decoder alone sharpens against a patch discriminator.

Encoder and codebook stay as they are, so tokens stay valid and a transformer can train at the same time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from iarbench.progress import Progress
from iarbench.tokenizer import Tokenizer
from iarbench.training.checkpoint import resume, save_atomically, set_lr, snapshot
from iarbench.training.data import random_batch
from iarbench.training.losses import (
    PatchDiscriminator,
    discriminator_loss,
    feature_matching,
    latent_loss,
    reconstruction_loss,
)
from iarbench.training.precision import mixed
from iarbench.training.schedule import cosine


@dataclass(frozen=True, slots=True)
class AdversarialRecipe:
    """Numbers of the phase; steps are batches, the learning rate falls along a cosine."""

    steps: int = 1500
    batch: int = 24
    lr: float = 4e-4
    adversarial_weight: float = 0.1
    matching_weight: float = 1.0
    latent_weight: float = 0.0
    """of the squared feature error when the frozen encoder reads the decoded image: above 0 the decoder learns to show
    everything that the tokens say, so that an inverse encoder can read it"""
    average: float = 0.995  # of the decoder's weights; the average is what ships
    seed: int = 1


def train_adversarial(tokenizer: Tokenizer, pixels: Tensor, recipe: AdversarialRecipe, state: Path) -> None:
    """Train the decoder in place on uint8 pixels (N, 3, S, S); the same call continues from ``state``."""
    torch.manual_seed(recipe.seed)
    tokenizer.eval().requires_grad_(False)
    decoder = tokenizer.decoding_modules().requires_grad_(True)
    device = next(decoder.parameters()).device
    critic = PatchDiscriminator().to(device)
    average = [p.detach().clone() for p in decoder.parameters()]
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=recipe.lr, betas=(0.5, 0.95), weight_decay=0)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=recipe.lr, betas=(0.5, 0.95))
    parts = (decoder, optimizer, critic_optimizer, critic, {"average": average})
    start = resume(state, asdict(recipe), *parts)
    average = [mean.to(device) for mean in parts[-1]["average"]]
    parts[-1]["average"] = average
    progress = Progress("adversarial", recipe.steps, start, unit="steps")
    for step in range(start, recipe.steps):
        factor = cosine(step, recipe.steps)
        set_lr(optimizer, recipe.lr * factor)
        set_lr(critic_optimizer, recipe.lr * factor)
        real, fake, f_z = _decode(tokenizer, random_batch(pixels, recipe.batch).to(device))
        pixel, loss = _decoder_loss(critic, real, fake, recipe, min(1.0, step / 300))
        if recipe.latent_weight:
            loss = loss + recipe.latent_weight * latent_loss(tokenizer, fake, f_z)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        critic_loss = discriminator_loss(critic(real)[0], critic(fake.detach())[0])
        critic_optimizer.zero_grad(set_to_none=True)
        critic_loss.backward()
        critic_optimizer.step()
        torch._foreach_lerp_(average, [p.detach() for p in decoder.parameters()], 1 - recipe.average)
        progress.show(step + 1, pixel=pixel.item(), critic=critic_loss.item())
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            save_atomically(snapshot(step + 1, asdict(recipe), *parts), state)
    for mean, p in zip(average, decoder.parameters(), strict=True):
        p.data.copy_(mean)


def _decode(tokenizer: Tokenizer, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images, their quantised reconstructions (both in the native range), and the codebook features in between;
    gradients reach the decoder.
    """
    with torch.no_grad():
        with mixed(images.device):
            f = tokenizer.encode(images)
        f_z = tokenizer.quantize(f.float()).features
    with mixed(images.device):
        fake = tokenizer.decode_native(f_z)
    return tokenizer.to_native(images), fake.float(), f_z


def _decoder_loss(
    critic: PatchDiscriminator, real: Tensor, fake: Tensor, recipe: AdversarialRecipe, ramp: float
) -> tuple[Tensor, Tensor]:
    """The pixel loss, and the whole loss of the decoder; ``ramp`` lets the critic's opinion in gently."""
    score, features = critic(fake)
    with torch.no_grad():
        _, real_features = critic(real)
    pixel = reconstruction_loss(fake, real)
    opinion = recipe.adversarial_weight * ramp * score.mean()
    return pixel, pixel - opinion + recipe.matching_weight * feature_matching(features, real_features)
