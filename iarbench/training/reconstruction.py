"""First phase of a tokenizer's training: encoder, codebook and decoder learn to reconstruct images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.nn.quantize import Assignment
from iarbench.progress import Progress
from iarbench.tokenizer import Tokenizer
from iarbench.training.checkpoint import resume, save_atomically, set_lr, snapshot
from iarbench.training.codebook import CodebookAverage
from iarbench.training.data import random_batch
from iarbench.training.losses import isotropy_loss, latent_loss, reconstruction_loss
from iarbench.training.precision import mixed
from iarbench.training.schedule import cosine

#: weight of the pull of features towards their codes (van den Oord et al. 2017, equation 3)
COMMITMENT = 0.25


@dataclass(frozen=True, slots=True)
class ReconstructionRecipe:
    """Numbers of the phase; steps are batches, the learning rate falls along a cosine."""

    steps: int = 3600
    batch: int = 24
    lr: float = 1.5e-3
    isotropy: float = 0.0
    """weight of :func:`iarbench.training.losses.isotropy_loss`, which spreads the codes over all directions"""
    isotropy_window: int = 1  # side of the square of positions that it is taken over
    isotropy_variance: float = 1.0  # that it asks of every feature
    latent_weight: float = 0.0
    """of the squared feature error when the encoder reads the decoded image: both learn to keep codes apart"""
    latent_from: float = 0.6  # share of the steps after which it is: earlier, decoded images show too little
    revive_until: float = 0.6  # share of the steps during which unused codes are restarted
    seed: int = 0


def train_reconstruction(tokenizer: Tokenizer, pixels: Tensor, recipe: ReconstructionRecipe, state: Path) -> None:
    """Train in place on uint8 pixels (N, 3, S, S); the same call continues from the checkpoint ``state``."""
    torch.manual_seed(recipe.seed)
    tokenizer.train()
    quantizer: Any = tokenizer.quantizer
    codebook = CodebookAverage(quantizer.embedding) if hasattr(quantizer, "embedding") else None  # signs are no table
    trained = [p for p in tokenizer.parameters() if p.requires_grad]
    device = trained[0].device
    optimizer = torch.optim.AdamW(trained, lr=recipe.lr, betas=(0.9, 0.95), weight_decay=1e-4)
    parts = (tokenizer, optimizer, codebook) if codebook else (tokenizer, optimizer)
    start = resume(state, asdict(recipe), *parts)
    progress = Progress("reconstruction", recipe.steps, start, unit="steps")
    for step in range(start, recipe.steps):
        set_lr(optimizer, recipe.lr * cosine(step, recipe.steps))
        images = random_batch(pixels, recipe.batch).to(device)
        latent = recipe.latent_weight if step >= recipe.latent_from * recipe.steps else 0.0
        pixel, quantiser, steps = _forward(tokenizer, images, codebook, recipe, latent)
        optimizer.zero_grad(set_to_none=True)
        (pixel + quantiser).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        numbers = {"loss": pixel.item(), "quantiser": quantiser.item()}
        if codebook:
            revive = step % 20 == 0 and step < recipe.revive_until * recipe.steps
            numbers["dead"] = codebook.update(steps, revive)
        progress.show(step + 1, **numbers)
        if (step + 1) % 200 == 0 or step + 1 == recipe.steps:
            save_atomically(snapshot(step + 1, asdict(recipe), *parts), state)
    tokenizer.eval()


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
    pixel = reconstruction_loss(output.float(), tokenizer.to_native(images))
    features = COMMITMENT * commit + fit
    if recipe.isotropy:
        features = features + recipe.isotropy * isotropy_loss(f, recipe.isotropy_window, recipe.isotropy_variance)
    if latent:
        features = features + latent * latent_loss(tokenizer, output, f_z.detach())
    return pixel, features, steps
