"""Fine-tuning an encoder to invert its decoder (arXiv 2606.28386, section 4.2 and appendix C).

The pairs are a model's own images, as 8-bit pixels, and the codebook features they were decoded from. Decoder and
codebook stay frozen, so the inverse encoder serves the same tokens.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from iarbench.attack import attack_image, parse
from iarbench.progress import Progress
from iarbench.tokenizer import Tokenizer
from iarbench.training.checkpoint import resume, save_atomically, set_lr, snapshot
from iarbench.training.precision import mixed

#: strengths of the paper's augmentation schedule (table A2)
STRENGTHS: dict[str, tuple[tuple[str, ...], ...]] = {
    "weak": (
        ("jpeg90", "jpeg85", "jpeg80"),
        ("blur3",),
        ("noise0.005", "noise0.01", "noise0.02"),
        ("brightness1.1", "brightness1.2"),
        ("saturation1.2", "saturation1.5"),
        ("resize0.9", "resize0.85", "resize0.8"),
        ("contrast1.2", "contrast1.5"),
    ),
    "medium": (
        ("jpeg80", "jpeg75", "jpeg70", "jpeg65"),
        ("blur3", "blur5"),
        ("noise0.02", "noise0.03", "noise0.04"),
        ("brightness1.3", "brightness1.4", "brightness1.5"),
        ("saturation1.5", "saturation1.7", "saturation2"),
        ("resize0.8", "resize0.75", "resize0.7"),
        ("contrast1.5", "contrast1.7", "contrast2"),
    ),
    "strong": (
        ("jpeg60", "jpeg55", "jpeg50"),
        ("blur5", "blur7", "blur9"),
        ("noise0.03", "noise0.04", "noise0.05"),
        ("brightness1.5", "brightness1.7", "brightness2"),
        ("saturation2", "saturation2.2", "saturation2.5"),
        ("resize0.7", "resize0.6", "resize0.5"),
        ("contrast2", "contrast2.2", "contrast2.4"),
    ),
}


@dataclass(frozen=True, slots=True)
class InverseRecipe:
    """Numbers of one fine-tuning; the learning rate falls geometrically to ``final`` times ``lr``.

    ``augment`` turns the paper's schedule on: nothing for the first tenth of the epochs, weak for the second tenth,
    medium for the next four, strong for the rest; each batch is attacked with probability one half.
    """

    epochs: int = 20
    batch: int = 32
    lr: float = 5e-4
    final: float = 0.3
    betas: tuple[float, float] = (0.9, 0.999)
    augment: bool = False
    seed: int = 0


def stage(epoch: int, epochs: int) -> str | None:
    """Name of the augmentation strength at ``epoch`` (0-based), None for none."""
    share = epoch / epochs
    if share < 0.1:
        return None
    return "weak" if share < 0.2 else "medium" if share < 0.6 else "strong"


def finetune_inverse(
    tokenizer: Tokenizer, images: Tensor, tokens: Tensor, recipe: InverseRecipe, state: Path
) -> list[float]:
    """Train the tokenizer's inverse modules in place; returns the mean loss of each epoch, in squared feature units.

    Args:
        images: uint8 (N, H, W, 3), the model's own images as they would be saved.
        tokens: int64 (N, L) that they were decoded from.
        state: checkpoint file; the same call continues from it.
    """
    torch.manual_seed(recipe.seed)
    tokenizer.eval().requires_grad_(False)
    names = tokenizer.inverse_modules
    trained = nn.ModuleList(tokenizer.get_submodule(name) for name in names).requires_grad_(True)
    optimizer = torch.optim.Adam(trained.parameters(), lr=recipe.lr, betas=recipe.betas)
    history: dict[str, list[float]] = {"losses": []}
    start = resume(state, asdict(recipe), trained, optimizer, history)
    device = next(trained.parameters()).device
    size = min(recipe.batch, len(images))
    per_epoch = len(images) // size
    progress = Progress("inverse", recipe.epochs * per_epoch, start * per_epoch, unit="steps")
    for epoch in range(start, recipe.epochs):
        total = 0.0
        for i, rows in enumerate(torch.randperm(len(images)).split(size)[:per_epoch]):
            done = (epoch + i / per_epoch) / recipe.epochs
            set_lr(optimizer, recipe.lr * recipe.final**done)
            pixels = images[rows]
            if recipe.augment:
                pixels = _augmented(pixels, stage(epoch, recipe.epochs), f"{recipe.seed}/{epoch}/{i}")
            with torch.no_grad():
                target = tokenizer.lookup(tokens[rows].to(device))
            native = tokenizer.to_native(pixels.permute(0, 3, 1, 2).to(device).float() / 255)
            with mixed(device):
                found = tokenizer.encode_native(native)
            loss = nn.functional.mse_loss(found.float(), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item()
            progress.show(epoch * per_epoch + i + 1, loss=loss.item())
        history["losses"].append(total / per_epoch)
        save_atomically(snapshot(epoch + 1, asdict(recipe), trained, optimizer, history), state)
    return history["losses"]


def _augmented(pixels: Tensor, strength: str | None, name: str) -> Tensor:
    """The batch uint8 (B, H, W, 3) under one random attack of the strength, or unchanged with probability one half."""
    if strength is None or torch.rand(()) < 0.5:
        return pixels
    kind = STRENGTHS[strength][int(torch.randint(len(STRENGTHS[strength]), ()))]
    attack = parse(kind[int(torch.randint(len(kind), ()))])
    images = (Image.fromarray(image) for image in pixels.numpy())
    attacked = [np.asarray(attack_image(attack, image, f"{name}/{i}")) for i, image in enumerate(images)]
    return torch.from_numpy(np.stack(attacked))


def inverse_state(tokenizer: Tokenizer) -> dict[str, Tensor]:
    """What an inverse encoder file holds: the fine-tuned modules' tensors under our names."""
    names = tokenizer.inverse_modules
    return {k: v for k, v in tokenizer.state_dict().items() if k.split(".")[0] in names}
