"""Few-shot adaptation: an encoder is trained on the gallery's own images (LIDA, arXiv 2603.10583)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from iarbench.errors import UserError
from iarbench.nn.threads import one_thread
from iarbench.progress import counted
from iarbench.retrieval.encoders import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to adapt. Epochs, batch, rate and `real_weight` are the paper's; for the rest it gives no number."""

    epochs: int = 100
    batch: int = 32
    rate: float = 1e-4
    """Of Adam; the paper names no optimiser."""
    real_weight: float = 0.9
    """Weight of the loss that tells real from generated."""
    temperature: float = 0.1
    """What cosines are divided by in that loss; the paper gives no value."""
    centre_rate: float = 0.5
    """Step of the centres towards the features of a batch; the paper gives no value, Wen et al. (2016) use 0.5."""
    seed: int = 0
    """Of the order of the images."""


def adapt(
    encoder: Encoder,
    pixels: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    real: Sequence[bool],
    recipe: Recipe | None = None,
) -> tuple[Encoder, list[float]]:
    """A copy of the encoder, trained on a gallery, and the mean loss per image of every epoch.

    Loss: squared distance to the centre of the image's class, and `Recipe.real_weight` times the binary cross-entropy
    of the cosine to the prototype of real images, which stays as it is. Centres start at the class means and follow by
    hand.
    Statistics of batch normalisation stay as pre-trained: a gallery is too small to estimate them. An encoder that
    comes without a prototype takes the mean feature of the gallery's real images.

    Args:
        pixels: uint8 (H, W, 3), all of one size.
        labels: class of each image; real images are classes too.
        real: whether each is a real image.

    Raises:
        UserError: images of several sizes, or no real image among them where a prototype is needed.
    """
    recipe = recipe or Recipe()
    if len({image.shape for image in pixels}) != 1:
        raise UserError("adaptation needs gallery images of one size; leave it out, or bring them to one size first")
    encoder = encoder.copy()
    prototype = prototype_of(encoder, pixels, real).to(encoder.device)
    names = sorted(set(labels))
    classes = torch.tensor([names.index(label) for label in labels], device=encoder.device)
    is_real = torch.tensor(list(real), device=encoder.device)
    start = encoder.features(pixels).to(encoder.device)
    centres = torch.stack([start[classes == place].mean(0) for place in range(len(names))])
    rng = np.random.default_rng(recipe.seed)
    optimizer = torch.optim.Adam(encoder.network.parameters(), lr=recipe.rate)
    maps = encoder.maps(pixels)
    history: list[float] = []
    with one_thread():
        for _ in counted(range(recipe.epochs), "adapting the encoder", recipe.epochs, "epochs"):
            total = 0.0
            order = torch.from_numpy(rng.permutation(len(pixels))).to(encoder.device)
            for chosen in order.split(recipe.batch):
                features = encoder.network(maps[chosen])
                own = classes[chosen]
                away = real_loss(features, is_real[chosen], prototype, recipe.temperature)
                loss = centre_loss(features, centres[own]) + recipe.real_weight * away
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                centres = moved(centres, features.detach(), own, recipe.centre_rate)
                total += loss.item() * len(chosen)
            history.append(total / len(pixels))
    return Encoder(encoder.source, encoder.network, prototype.cpu()).to(encoder.device), history


def centre_loss(features: Tensor, centres: Tensor) -> Tensor:
    """Mean over a batch of the squared distances of features (B, D) to the centres of their classes (B, D)."""
    return (features - centres).square().sum(1).mean()


def real_loss(features: Tensor, real: Tensor, prototype: Tensor, temperature: float) -> Tensor:
    """Binary cross-entropy of ``real`` (B,) against the sigmoid of cosine to the prototype (D,) over the temperature.

    The mean over real images plus the mean over the others, as in the paper; a batch that lacks a side has one of them.
    """
    cosines = functional.cosine_similarity(features, prototype[None], dim=1) / temperature
    losses = functional.binary_cross_entropy_with_logits(cosines, real.float(), reduction="none")
    sides = [losses[side].mean() for side in (real, ~real) if bool(side.any())]
    return torch.stack(sides).sum()


def moved(centres: Tensor, features: Tensor, classes: Tensor, rate: float) -> Tensor:
    """Centres (K, D) after a batch: c_j - rate * sum of (c_j - x_i) over its images of class j / (1 + their number)."""
    onehot = functional.one_hot(classes, len(centres)).to(features)
    counts = onehot.sum(0)[:, None]
    return centres - rate * (counts * centres - onehot.T @ features) / (1 + counts)


def prototype_of(encoder: Encoder, pixels: Sequence[NDArray[np.uint8]], real: Sequence[bool]) -> Tensor:
    """The encoder's prototype of real images, else the mean feature of the real ones among these.

    Raises:
        UserError: it has none, and there is no real image.
    """
    if encoder.prototype is not None:
        return encoder.prototype
    chosen = [image for image, is_real in zip(pixels, real, strict=True) if is_real]
    if not chosen:
        raise UserError("these weights come without a prototype of real images: the gallery needs real images")
    return encoder.features(chosen).mean(0)
