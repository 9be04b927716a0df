"""Training a tokenizer: first to reconstruct, then its decoder alone against a patch discriminator.

The second phase leaves encoder and codebook alone, so tokens stay valid and a transformer can train meanwhile.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.nn.quantize import Assignment
from iarbench.tokenizer import Tokenizer
from iarbench.training.codebook import CodebookAverage
from iarbench.training.data import random_batch
from iarbench.training.losses import (
    PatchDiscriminator,
    discriminator_loss,
    feature_matching,
    reconstruction_loss,
)
from iarbench.training.progress import Progress, resume, save_atomically, set_lr, snapshot
from iarbench.training.schedule import cosine


@dataclass(frozen=True, slots=True)
class TokenizerRecipe:
    """Numbers of one training; steps are batches, learning rates fall along a cosine."""

    steps: int = 5000
    batch: int = 24
    lr: float = 1.5e-3
    commitment: float = 0.25
    revive_until: float = 0.6  # share of the steps during which dead codes are restarted
    adversarial_steps: int = 2500
    adversarial_lr: float = 4e-4
    adversarial_weight: float = 0.1
    matching_weight: float = 1.0
    average: float = 0.998  # of the decoder's weights during the adversarial phase
    seed: int = 0


def train_reconstruction(tokenizer: Tokenizer, pixels: Tensor, recipe: TokenizerRecipe, state: Path) -> None:
    """Phase one, in place; resumes from ``state`` where it exists. ``pixels`` uint8 (N, 3, S, S)."""
    torch.manual_seed(recipe.seed)
    tokenizer.train()
    quantizer: Any = tokenizer.quantizer
    codebook = CodebookAverage(quantizer.embedding)
    trained = [p for p in tokenizer.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.lr, betas=(0.9, 0.95), weight_decay=1e-4)
    start = resume(state, asdict(recipe), tokenizer, optimizer, codebook)
    progress = Progress("tokenizer", recipe.steps, start)
    for step in range(start, recipe.steps):
        set_lr(optimizer, recipe.lr * cosine(step, recipe.steps))
        images = random_batch(pixels, recipe.batch)
        with torch.autocast("cpu", torch.bfloat16):
            f = tokenizer.encode(images).float()
        steps = _assign(quantizer, f, codebook)
        commit = torch.stack([F.mse_loss(f, s.f_hat.detach()) for s in steps]).mean()
        fit = torch.stack([F.mse_loss(s.f_hat, f.detach()) for s in steps]).mean()
        low, high = tokenizer.native_range
        with torch.autocast("cpu", torch.bfloat16):
            output = tokenizer.decode_native(f + (steps[-1].f_hat - f).detach())
        pixel = reconstruction_loss(output.float(), images * (high - low) + low)
        loss = pixel + recipe.commitment * commit + (fit if fit.requires_grad else 0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        revive = step % 20 == 0 and step < recipe.revive_until * recipe.steps
        dead = codebook.update([Assignment(s.vectors.detach(), s.tokens, s.f_hat.detach()) for s in steps], revive)
        progress.show(step + 1, loss=pixel.item(), commit=commit.item(), dead=dead)
        if (step + 1) % 200 == 0 or step + 1 == recipe.steps:
            save_atomically(snapshot(step + 1, asdict(recipe), tokenizer, optimizer, codebook), state)


def train_adversarial(tokenizer: Tokenizer, pixels: Tensor, recipe: TokenizerRecipe, state: Path) -> None:
    """Phase two, in place: sharpens the decoder while encoder and codebook stay as they are."""
    torch.manual_seed(recipe.seed + 1)
    tokenizer.requires_grad_(False)
    decoder = nn.ModuleList([tokenizer.decoder, tokenizer.post_quant_conv])  # type: ignore[list-item]
    decoder.requires_grad_(True)
    critic = PatchDiscriminator()
    average = [p.detach().clone() for p in decoder.parameters()]
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=recipe.adversarial_lr, betas=(0.5, 0.95), weight_decay=0)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=recipe.adversarial_lr, betas=(0.5, 0.95))
    saved = {"average": average}
    start = resume(state, asdict(recipe), tokenizer, optimizer, critic_optimizer, critic, saved)
    average = saved["average"]
    progress = Progress("adversarial", recipe.adversarial_steps, start)
    low, high = tokenizer.native_range
    for step in range(start, recipe.adversarial_steps):
        factor = cosine(step, recipe.adversarial_steps)
        set_lr(optimizer, recipe.adversarial_lr * factor)
        set_lr(critic_optimizer, recipe.adversarial_lr * factor)
        images = random_batch(pixels, recipe.batch)
        real = images * (high - low) + low
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                f = tokenizer.encode(images).float()
            with torch.autocast("cpu", enabled=False), torch.no_grad():
                f_z = tokenizer.quantize(f).features
            output = tokenizer.decode_native(f_z)
            score, features = critic(output)
            with torch.no_grad():
                _, real_features = critic(real)
        weight = recipe.adversarial_weight * min(1.0, step / 300)
        pixel = reconstruction_loss(output.float(), real)
        loss = pixel - weight * score.float().mean() + recipe.matching_weight * feature_matching(features, real_features)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        with torch.autocast("cpu", torch.bfloat16):
            critic_loss = discriminator_loss(critic(real)[0].float(), critic(output.detach())[0].float())
        critic_optimizer.zero_grad(set_to_none=True)
        critic_loss.backward()
        critic_optimizer.step()
        for mean, p in zip(average, decoder.parameters(), strict=True):
            mean.lerp_(p.detach(), 1 - recipe.average)
        progress.show(step + 1, pixel=pixel.item(), critic=critic_loss.item())
        if (step + 1) % 200 == 0 or step + 1 == recipe.adversarial_steps:
            saved = {"average": average}
            save_atomically(snapshot(step + 1, asdict(recipe), tokenizer, optimizer, critic_optimizer, critic, saved), state)
    for mean, p in zip(average, decoder.parameters(), strict=True):
        p.data.copy_(mean)


def _assign(quantizer: Any, f: Tensor, codebook: CodebookAverage) -> list[Assignment]:
    """Quantise a batch; the very first one fills the codebook."""
    if not codebook.started:
        with torch.no_grad():
            codebook.start(list(quantizer.walk(f)))
    return list(quantizer.walk(f))
