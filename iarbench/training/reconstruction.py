"""First phase of a tokenizer's training: encoder, codebook and decoder learn to reconstruct images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.nn.quantize import Assignment
from iarbench.tokenizer import Tokenizer
from iarbench.training.checkpoint import fingerprint, set_lr
from iarbench.training.codebook import CodebookAverage
from iarbench.training.data import random_batch
from iarbench.training.losses import isotropy_loss, latent_loss, reconstruction_loss, symmetric
from iarbench.training.precision import mixed
from iarbench.training.schedule import Phase, cosine

#: fraction of the training over which the latent loss reaches its weight
LATENT_RISE = 0.1


@dataclass(frozen=True, slots=True)
class ReconstructionRecipe:
    """Numbers of the phase; steps are batches, the learning rate falls along a cosine."""

    steps: int = 3600
    seconds: float | None = None  # a budget in place of the steps
    batch: int = 24
    lr: float = 1.5e-3
    commitment: float = 0.25  # pull of features towards their codes (van den Oord et al. 2017, equation 3)
    isotropy: float = 0.0
    """weight of :func:`iarbench.training.losses.isotropy_loss`, which spreads the codes over all directions"""
    isotropy_window: int = 1  # side of the square of positions that it is taken over
    isotropy_variance: float = 1.0  # that it asks of every feature
    latent_weight: float = 0.0
    """of :func:`iarbench.training.losses.latent_loss`: encoder and decoder learn to keep codes apart"""
    latent_from: float = 0.35  # fraction of the training after which it counts: before, decoded images show too little
    revive_until: float = 0.6  # fraction of the training during which unused codes are restarted
    seed: int = 0


def train_reconstruction(tokenizer: Tokenizer, pixels: Tensor, recipe: ReconstructionRecipe, state: Path) -> int:
    """Train in place on uint8 pixels (N, 3, S, S); the same call continues from the checkpoint ``state``.

    Returns the number of batches.
    """
    torch.manual_seed(recipe.seed)
    tokenizer.train()
    quantizer: Any = tokenizer.quantizer
    codebook = CodebookAverage(quantizer.embedding) if hasattr(quantizer, "embedding") else None  # signs are no table
    trained = [p for p in tokenizer.parameters() if p.requires_grad]
    device = trained[0].device
    optimizer = torch.optim.AdamW(trained, lr=recipe.lr, betas=(0.9, 0.95), weight_decay=1e-4)
    parts = (tokenizer, optimizer, codebook) if codebook else (tokenizer, optimizer)
    about = {"images": len(pixels), "pixels": fingerprint(pixels), "first weights": fingerprint(tokenizer)}
    phase = Phase("reconstruction", recipe, state, *parts, about=about, steps=recipe.steps, seconds=recipe.seconds)
    for step in phase:
        set_lr(optimizer, recipe.lr * cosine(phase.fraction))
        images = random_batch(pixels, recipe.batch).to(device)
        latent = recipe.latent_weight * min(max((phase.fraction - recipe.latent_from) / LATENT_RISE, 0.0), 1.0)
        pixel, quantiser, steps = _forward(tokenizer, images, codebook, recipe, latent)
        optimizer.zero_grad(set_to_none=True)
        (pixel + quantiser).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        numbers = {"loss": pixel.item(), "quantiser": quantiser.item()}
        if codebook:
            revive = step % 20 == 0 and phase.fraction < recipe.revive_until
            numbers["dead"] = codebook.update(steps, revive)
        phase.report(**numbers)
    tokenizer.eval()
    return phase.step


def _forward(
    tokenizer: Tokenizer, images: Tensor, codebook: CodebookAverage | None, recipe: ReconstructionRecipe, latent: float
) -> tuple[Tensor, Tensor, list[Assignment]]:
    """Pixel loss, quantiser loss and the assignments of one batch; the first batch ever fills the codebook.

    The quantiser loss has two halves: features are drawn to their codes, and the quantiser's own convolutions, where
    it has some, draw the codes' sum to the features.
    """
    quantizer: Any = tokenizer.quantizer
    with mixed(images.device):
        f = tokenizer.encode(images).float()
    if codebook and not codebook.started:
        with torch.no_grad():
            codebook.start(list(quantizer.walk(f)))
    steps = list(quantizer.walk(f))
    commit = torch.stack([F.mse_loss(f, s.f_hat.detach()) for s in steps]).mean()
    fit = torch.stack([F.mse_loss(s.f_hat, f.detach()) for s in steps]).mean()
    f_z = steps[-1].f_hat
    with mixed(images.device):
        output = tokenizer.decode_native(f + (f_z - f).detach())
    pixel = reconstruction_loss(symmetric(tokenizer, output.float()), 2 * images - 1)
    features = recipe.commitment * commit + fit
    if recipe.isotropy:
        features = features + recipe.isotropy * isotropy_loss(f, recipe.isotropy_window, recipe.isotropy_variance)
    if latent:
        features = features + latent * latent_loss(tokenizer, output, f_z.detach())
    return pixel, features, steps
