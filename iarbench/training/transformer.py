"""Training a transformer on the tokens of a frozen tokenizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from iarbench.generator import Generator
from iarbench.progress import Progress
from iarbench.tokenizer import Tokenizer
from iarbench.training.checkpoint import fingerprint, set_lr
from iarbench.training.precision import mixed
from iarbench.training.schedule import Phase, cosine


@dataclass(frozen=True, slots=True)
class TransformerRecipe:
    """Numbers of one training; steps are batches."""

    steps: int = 3000
    seconds: float | None = None  # a budget in place of the steps
    batch: int = 64
    lr: float = 1.5e-3
    weight_decay: float = 0.05
    class_dropout: float = 0.1
    views: int = 8  # augmented versions of each image that are tokenized once, before training
    held_out: float = 0.03  # fraction of the images that the loss is measured on
    others_until: float = 0.0  # fraction of the training in which images of other classes, if any, are learnt too
    other_views: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Views:
    """Augmented versions of images as a transformer sees them: ``tokens`` int64 (views, N, L) and, for families that
    train on them, the ``features`` float16 (views, N, C, h, w) they were quantised from.
    """

    tokens: Tensor
    features: Tensor | None

    def take(self, view: Tensor | int, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Tokens (B, L) and features (B, C, h, w) of some images on ``device``."""
        features = None if self.features is None else self.features[view, rows].to(device).float()
        return self.tokens[view, rows].to(device), features


@dataclass(frozen=True, slots=True)
class Examples:
    """Images as ``views`` and their classes, ``labels`` int64 (N,)."""

    views: Views
    labels: Tensor

    def draw(self, count: int, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None, Tensor]:
        """Tokens, features and labels of random views of random images among ``rows``."""
        rows = rows[torch.randint(len(rows), (count,))]
        view = torch.randint(len(self.views.tokens), (count,))
        return *self.views.take(view, rows, device), self.labels[rows]


@torch.inference_mode()
def tokenize(tokenizer: Tokenizer, pixels: Tensor, views: int, seed: int, with_features: bool = False) -> Views:
    """Tokens, and features if asked for, of uint8 pixels (N, 3, S, S).

    View 0 is the image, view 1 its mirror image, later ones random crops of at least 80 % of the side, mirrored by
    chance.
    """
    generator = torch.Generator().manual_seed(seed)
    progress = Progress("tokenize", views * len(pixels))
    device = next(tokenizer.parameters()).device
    tokens: list[Tensor] = []
    features: list[Tensor] = []
    for view in range(views):
        for batch in pixels.split(100):
            f = tokenizer.encode(_view(batch.float() / 255, view, generator).to(device))
            tokens.append(tokenizer.quantize(f).tokens.cpu())
            if with_features:
                features.append(f.cpu().half())
            progress.show(progress.done + len(batch))
    shape = (views, len(pixels))
    return Views(torch.cat(tokens).unflatten(0, shape), torch.cat(features).unflatten(0, shape) if features else None)


def _view(images: Tensor, view: int, generator: torch.Generator) -> Tensor:
    if view == 0:
        return images
    if view == 1:
        return images.flip(-1)
    side = images.shape[-1]
    out = []
    for image in images:
        crop = int(torch.randint(int(0.8 * side), side + 1, (), generator=generator))
        top, left = (int(torch.randint(0, side - crop + 1, (), generator=generator)) for _ in range(2))
        piece = image[None, :, top : top + crop, left : left + crop]
        piece = nn.functional.interpolate(piece, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)
        out.append(piece.flip(-1) if torch.rand((), generator=generator) < 0.5 else piece)
    return torch.cat(out)


def initialise(model: nn.Module) -> None:
    """Small normal weights and zero biases, so that training starts near the uniform distribution."""
    for name, p in model.named_parameters():
        if p.ndim >= 2 and "scale_mul" not in name:
            nn.init.normal_(p, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(p)


#: how often the held-out loss is measured, and the fraction of the training before which it is not
CHECKS, FIRST_CHECK = 15, 0.3
#: what a caption may look like where conditions are texts; a class name takes the place of the braces
CAPTIONS = ("{}", "a {}", "a photo of a {}", "a picture of {}")


@dataclass(frozen=True, slots=True)
class Trained:
    """After how many batches, and the held-out loss in nats a token of the weights that were kept."""

    steps: int
    held_out: float


def train_transformer(
    generator: Generator,
    own: Examples,
    recipe: TransformerRecipe,
    state: Path,
    names: Sequence[str] | None = None,
    others: Examples | None = None,
) -> Trained:
    """Train ``generator.transformer`` in place and keep the weights whose held-out loss is the lowest.

    A family whose conditions are texts gets captions made of the classes' ``names``. ``others`` are images of other
    classes, with labels after those of ``own``: a few thousand pictures of its own classes a transformer soon knows by
    heart. Resumes from ``state`` where it exists.
    """
    torch.manual_seed(recipe.seed)
    model = generator.transformer.train()
    initialise(model)
    decay = [p for p in model.parameters() if p.ndim >= 2]
    plain = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.95))
    best: dict[str, Any] = {"held_out": math.inf, "weights": {}, "checks": 0}
    parts = (model, optimizer, best)
    about = {
        "images": len(own.labels),
        "tokens": fingerprint(own.views.tokens),
        "classes": fingerprint(own.labels),
        "images of other classes": fingerprint(others.views.tokens, others.labels) if others else "",
        "class names": ", ".join(names or ()),
        "first weights": fingerprint(model),
    }
    phase = Phase(
        "transformer", recipe, state, *parts, about=about, steps=recipe.steps, seconds=recipe.seconds, every=250
    )
    device = next(model.parameters()).device
    order = torch.randperm(len(own.labels), generator=torch.Generator().manual_seed(recipe.seed))
    held = max(int(len(own.labels) * recipe.held_out), 1)
    test, train = order[:held], order[held:]
    mean_loss = math.nan
    first = max(FIRST_CHECK, generator.settled_from)

    def check() -> None:
        held_out = evaluate(generator, own.views, test, own.labels, names)
        if held_out < best["held_out"]:
            best.update(held_out=held_out, weights={k: v.clone() for k, v in model.state_dict().items()})

    for _ in phase:
        if phase.fraction >= first + best["checks"] * (1 - first) / CHECKS:
            best["checks"] += 1
            check()
        set_lr(optimizer, recipe.lr * cosine(phase.fraction))
        generator.training_progress(phase.fraction)
        count = round(recipe.batch * own_fraction(phase.fraction, recipe.others_until if others else 0.0))
        tokens, features, labels = own.draw(count, train, device)
        if others and count < recipe.batch:
            more = others.draw(recipe.batch - count, torch.arange(len(others.labels)), device)
            tokens, labels = torch.cat([tokens, more[0]]), torch.cat([labels, more[2]])
            features = None if features is None or more[1] is None else torch.cat([features, more[1]])
        conditions = captions(labels, names) if names else dropped(labels, model, recipe.class_dropout)
        with _attention(device), mixed(device):
            loss = generator.training_loss(tokens, conditions, features)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean_loss = loss.item() if math.isnan(mean_loss) else 0.98 * mean_loss + 0.02 * loss.item()
        phase.report(loss=mean_loss, **({"held_out": best["held_out"]} if best["weights"] else {}))
    check()
    model.load_state_dict(best["weights"])
    return Trained(phase.step, best["held_out"])


def own_fraction(fraction: float, others_until: float) -> float:
    """Fraction of a batch that is of a transformer's own classes: from 0.3 it grows to 0.6, then it is 1."""
    return 1.0 if fraction >= others_until else 0.3 + 0.3 * fraction / others_until


def _attention(device: torch.device) -> AbstractContextManager[None]:
    """Short sequences train a third faster without the fused attention kernel, whose backward pass is slow on CPUs."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def dropped(classes: Tensor, model: nn.Module, share: float) -> Tensor:
    """Classes (B,) of which a random ``share`` is the null class, on the model's device."""
    if hasattr(model, "null_class"):  # families without guidance have no empty condition to learn
        classes = classes.masked_fill(torch.rand(len(classes)) < share, int(model.null_class))  # type: ignore[arg-type]
    return classes.to(next(model.parameters()).device)


def captions(labels: Tensor, names: Sequence[str], only: str | None = None) -> list[str]:
    """A random caption for each of labels (B,), or the one of form ``only``."""
    forms = [only or CAPTIONS[int(torch.randint(len(CAPTIONS), ()))] for _ in labels]
    return [form.format(names[label]) for form, label in zip(forms, labels.tolist(), strict=True)]


@torch.inference_mode()
def evaluate(
    generator: Generator, views: Views, rows: Tensor, labels: Tensor, names: Sequence[str] | None = None
) -> float:
    """Mean loss in nats a token of the first view of some ``rows``."""
    model = generator.transformer.eval()
    device, total = next(model.parameters()).device, 0.0
    for part in rows.split(64):
        tokens, features = views.take(0, part, device)
        conditions = captions(labels[part], names, "{}") if names else labels[part].to(device)
        total += generator.training_loss(tokens, conditions, features).item() * len(part)
    model.train()
    return total / len(rows)
