"""A smaller decoder that paints what a larger one paints from the same codes.

Encoder, codebook and transformer stay valid; images and inverse encoders have to be made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from iarbench.tokenizer import Tokenizer
from iarbench.training.checkpoint import fingerprint, set_lr
from iarbench.training.losses import reconstruction_loss, symmetric
from iarbench.training.pairs import Pairs
from iarbench.training.precision import mixed
from iarbench.training.schedule import Phase, cosine


@dataclass(frozen=True, slots=True)
class DistillRecipe:
    """Numbers of one distillation; steps are batches, the learning rate falls along a cosine."""

    steps: int = 1500
    seconds: float | None = None  # a budget in place of the steps
    batch: int = 32
    lr: float = 3e-3
    seed: int = 0


def distill_decoder(tokenizer: Tokenizer, pairs: Pairs, recipe: DistillRecipe, state: Path) -> float:
    """Train the decoder in place on the teacher's images of ``pairs``; the same call continues from ``state``.

    Returns the mean squared error of the last hundredth of the steps, of pixels in [0, 1].
    """
    torch.manual_seed(recipe.seed)
    tokenizer.requires_grad_(False)
    decoder = tokenizer.decoding_modules().requires_grad_(True)
    device = next(decoder.parameters()).device
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=recipe.lr, betas=(0.9, 0.95), weight_decay=1e-4)
    errors: dict[str, list[float]] = {"errors": []}
    parts = (decoder, optimizer, errors)
    about = {
        "images": len(pairs.tokens),
        "pixels": fingerprint(pairs.pixels, pairs.tokens),
        "first weights": fingerprint(tokenizer),
    }
    phase = Phase("distill", recipe, state, *parts, about=about, steps=recipe.steps, seconds=recipe.seconds, every=100)
    for _ in phase:
        set_lr(optimizer, recipe.lr * cosine(phase.fraction))
        rows = torch.randint(len(pairs.tokens), (recipe.batch,))
        target = 2 * pairs.pixels[rows].permute(0, 3, 1, 2).to(device).float() / 255 - 1
        with torch.no_grad():
            f_z = tokenizer.lookup(pairs.tokens[rows].to(device))
        with mixed(device):
            painted = tokenizer.decode_native(f_z)
        painted = symmetric(tokenizer, painted.float())
        loss = reconstruction_loss(painted, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        errors["errors"].append((painted.detach() - target).square().mean().item() / 4)
        phase.report(loss=loss.item())
    last = errors["errors"][-max(1, phase.step // 100) :]
    return sum(last) / len(last)
