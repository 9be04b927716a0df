"""A smaller decoder that paints what a larger one paints from the same codes.

Encoder, codebook and transformer stay valid; images and inverse encoders have to be made anew.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from iarbench.progress import Progress
from iarbench.tokenizer import Tokenizer
from iarbench.training.checkpoint import resume, save_atomically, set_lr, snapshot
from iarbench.training.losses import reconstruction_loss
from iarbench.training.pairs import Pairs
from iarbench.training.precision import mixed
from iarbench.training.schedule import cosine


@dataclass(frozen=True, slots=True)
class DistillRecipe:
    """Numbers of one distillation; steps are batches, the learning rate falls along a cosine."""

    steps: int = 1500
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
    start = resume(state, asdict(recipe), decoder, optimizer, errors)
    progress = Progress("distill", recipe.steps, start, unit="steps")
    for step in range(start, recipe.steps):
        set_lr(optimizer, recipe.lr * cosine(step, recipe.steps))
        rows = torch.randint(len(pairs.tokens), (recipe.batch,))
        target = tokenizer.to_native(pairs.pixels[rows].permute(0, 3, 1, 2).to(device).float() / 255)
        with torch.no_grad():
            f_z = tokenizer.lookup(pairs.tokens[rows].to(device))
        with mixed(device):
            painted = tokenizer.decode_native(f_z)
        loss = reconstruction_loss(painted.float(), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        low, high = tokenizer.native_range
        errors["errors"].append((painted.detach().float() - target).square().mean().item() / (high - low) ** 2)
        progress.show(step + 1, loss=loss.item())
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            save_atomically(snapshot(step + 1, asdict(recipe), decoder, optimizer, errors), state)
    last = errors["errors"][-max(1, recipe.steps // 100) :]
    return sum(last) / len(last)
