"""Fine-tuning an encoder to invert its decoder (arXiv 2606.28386, section 4.2 and appendix C).

The pairs are a model's own images, as 8-bit pixels, and the codebook features they were decoded from. Decoder and
codebook stay frozen, so the inverse encoder serves the same tokens.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from iarbench.tokenizer import Tokenizer
from iarbench.training.attacked import attacked_copies, stage
from iarbench.training.checkpoint import fingerprint, set_lr
from iarbench.training.precision import mixed
from iarbench.training.schedule import Phase


@dataclass(frozen=True, slots=True)
class InverseRecipe:
    """Numbers of one fine-tuning; the learning rate falls geometrically to ``final`` times ``lr``.

    ``augment`` turns the paper's schedule on: nothing for the first tenth of the training, weak attacks for the second
    tenth, medium for the next four, strong for the rest; each batch is attacked with probability one half.
    """

    epochs: int = 20
    seconds: float | None = None  # a budget in place of the epochs
    batch: int = 32
    lr: float = 5e-4
    final: float = 0.3
    betas: tuple[float, float] = (0.9, 0.999)
    augment: bool = False
    seed: int = 0


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
    device = next(trained.parameters()).device
    size = min(recipe.batch, len(images))
    per_epoch = len(images) // size
    history: dict[str, list[float]] = {"losses": []}
    parts = (trained, optimizer, history)
    about = {"images": len(images), "pixels": fingerprint(images, tokens), "first weights": fingerprint(tokenizer)}
    steps = recipe.epochs * per_epoch
    phase = Phase("inverse", recipe, state, *parts, about=about, steps=steps, seconds=recipe.seconds)
    attacked = attacked_copies(images, recipe.seed, state.parent, torch.get_num_threads()) if recipe.augment else None
    with attacked or nullcontext({}) as copies:
        for step in phase:
            set_lr(optimizer, recipe.lr * recipe.final**phase.fraction)
            epoch, batch = divmod(step, per_epoch)
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(recipe.seed + epoch))
            rows = order[batch * size : (batch + 1) * size]
            pixels = _drawn(images, copies, phase.fraction)[rows]
            with torch.no_grad():
                target = tokenizer.lookup(tokens[rows].to(device))
            native = tokenizer.to_native(pixels.permute(0, 3, 1, 2).to(device).float() / 255)
            with mixed(device):
                found = tokenizer.encode_native(native)
            loss = nn.functional.mse_loss(found.float(), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            history["losses"].append(loss.item())
            phase.report(loss=loss.item())
    epochs = torch.tensor(history["losses"]).split(per_epoch)
    return [epoch.mean().item() for epoch in epochs]


def _drawn(images: Tensor, copies: dict[str, list[Tensor]], fraction: float) -> Tensor:
    """The images, or with probability one half a random copy of them attacked as strongly as is due by now."""
    strength = stage(fraction) if copies else None
    if strength is None or torch.rand(()) < 0.5:
        return images
    return copies[strength][int(torch.randint(len(copies[strength]), ()))]


def inverse_state(tokenizer: Tokenizer) -> dict[str, Tensor]:
    """What an inverse encoder file holds: the fine-tuned modules' tensors under our names."""
    names = tokenizer.inverse_modules
    return {k: v for k, v in tokenizer.state_dict().items() if k.split(".")[0] in names}
