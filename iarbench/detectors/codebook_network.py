"""The network of `d3qe`: from residuals of quantisation, code frequencies and pixels to one number an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 16
BATCH = 32
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05


@dataclass(frozen=True, slots=True)
class Views:
    """B images as the network sees them."""

    images: Tensor  # (B, 3, H, W) in [0, 1]
    residuals: Tensor  # (B, C, h, w), codebook features less the encoder's
    tokens: Tensor  # int64 (B, h, w), of the finest scale

    def at(self, places: Tensor) -> Views:
        """Those images."""
        return Views(self.images[places], self.residuals[places], self.tokens[places])


def joined(parts: list[Views]) -> Views:
    """All of them in one."""
    return Views(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Views)))


class CodebookNetwork(nn.Module):
    """Two small convolutional branches, each averaged over positions, and a perceptron over both.

    ``codes``: how many are counted, the last for all that are not; ``channels``: of a residual.
    """

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        self.usage: Tensor
        self.spread: Tensor
        self.register_buffer("usage", torch.zeros(codes))
        self.register_buffer("spread", torch.ones(channels))
        self.on_codes = _branch(channels + 1, stride=1)
        self.on_pixels = _branch(3, stride=2)
        self.head = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, views: Views, frequencies: Tensor | None = None) -> Tensor:
        """Score (B,), higher for generated images; ``frequencies`` (B, h, w) stand in for what ``usage`` says."""
        known = views.tokens.clamp(max=len(self.usage) - 1)
        usage = self.usage[known] if frequencies is None else frequencies
        codes = torch.cat([views.residuals / self.spread[:, None, None], usage[:, None]], dim=1)
        seen = [self.on_codes(codes).mean((2, 3)), self.on_pixels(2 * views.images - 1).mean((2, 3))]
        return self.head(torch.cat(seen, dim=1))[:, 0]


def _branch(channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 3, stride, 1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, stride, 1), nn.ReLU()
    )


def usage_difference(tokens: Tensor, fake: Tensor, codes: int) -> Tensor:
    """How much oftener generated images use each code, log of the ratio of frequencies with one count added: (V,).

    ``tokens``: int64 (N, h, w); ``fake``: bool (N,).
    """
    counts = [torch.bincount(tokens[side].flatten(), minlength=codes).float() + 1 for side in (fake, ~fake)]
    generated, real = (count / count.sum() for count in counts)
    return (generated / real).log()


def learn_network(views: Views, fake: Tensor, codes: int, epochs: int) -> dict[str, Tensor]:
    """The state of a network that separates generated images from real ones; seeded.

    Cross-entropy in which both sides weigh the same, AdamW with a cosine to zero. While it learns, an image's code
    frequencies are those of the other half of the images: its own tokens would tell it which side it is on.

    Args:
        views: N images.
        fake: bool (N,).
        codes: how many codes are counted.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        network = CodebookNetwork(codes, views.residuals.shape[1]).to(views.images.device)
        network.usage.copy_(usage_difference(views.tokens, fake, codes))
        network.spread.copy_(views.residuals.std((0, 2, 3)).clamp(min=1e-6))
        frequencies = _by_the_other_half(views.tokens, fake, codes)
        labels, weights = fake.float(), torch.where(fake, 0.5 / fake.float().mean(), 0.5 / (~fake).float().mean())
        optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        steps = epochs * -(-len(fake) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(epochs):
            for places in torch.randperm(len(fake), generator=generator).to(fake.device).split(BATCH):
                logits = network(views.at(places), frequencies[places])
                loss = F.binary_cross_entropy_with_logits(logits, labels[places], weights[places])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
    return {name: value.detach() for name, value in network.state_dict().items()}


def _by_the_other_half(tokens: Tensor, fake: Tensor, codes: int) -> Tensor:
    """The usage difference (N, h, w) at every position, counted over the images of the other half."""
    found = torch.zeros(tokens.shape, device=tokens.device)
    # Within each side in turn, so that both halves hold both.
    rank = torch.where(fake, fake.cumsum(0), (~fake).cumsum(0))
    for half in (0, 1):
        here = rank % 2 == half
        found[here] = usage_difference(tokens[~here], fake[~here], codes)[tokens[here]]
    return found


def restored(state: Mapping[str, Tensor]) -> CodebookNetwork:
    """The network with a learned state, on the state's device, ready to score."""
    network = CodebookNetwork(len(state["usage"]), len(state["spread"])).to(state["usage"].device)
    network.load_state_dict(dict(state))
    return network.eval().requires_grad_(False)
