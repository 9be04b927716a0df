"""The learned score of PRADA (arXiv 2511.20068): from log-probabilities of tokens to one number an image.

    d_i = (2 - a) log p(t_i | c) - a log p(t_i),   score = sum_s w_s mean over the tokens i of scale s of net(d_i)

``net`` is a perceptron 1-16-16-1 with ELU; a, w and the network are learned together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.nn.likelihood import mean_by_scale

NOISE = 0.1
"""Of the Gaussian noise on d in training, as a fraction of the standard deviation of d."""
SMOOTHING = 0.05
NORM_PENALTY = 0.1
LEARNING_RATE = 1e-3


class TokenScore(nn.Module):
    """The score's network, with the parameter names of the published code.

    ``lengths``: tokens a scale, coarse to fine.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__()
        self.lengths = tuple(lengths)
        self.alpha = nn.Parameter(torch.ones(1))
        self.w = nn.Parameter(torch.full((len(self.lengths),), 1 / len(self.lengths)))
        self.net = nn.Sequential(nn.Linear(1, 16), nn.ELU(), nn.Linear(16, 16), nn.ELU(), nn.Linear(16, 1))

    def forward(self, conditional: Tensor, unconditional: Tensor, noise: Tensor | None = None) -> Tensor:
        """Score (B,) of log-probabilities (B, L) with and without the condition, in nats; ``noise`` (B, L), standard
        normal, is for training.
        """
        d = (2 - self.alpha) * conditional - self.alpha * unconditional
        if noise is not None:
            d = d + NOISE * d.std() * noise
        return mean_by_scale(self.net(d[..., None])[..., 0], self.lengths) @ self.w


def learn_score(
    conditional: Tensor, unconditional: Tensor, own: Tensor, lengths: Sequence[int], epochs: int
) -> dict[str, Tensor]:
    """The state of a `TokenScore` that separates own images from others.

    Full batches, AdamW at a learning rate of 1e-3 (weight decay 0.01, torch's default, on everything), cross-entropy
    with labels smoothed by 0.05, the penalty 0.1 (|w|_1 - 1)^2 and noise of a tenth of the standard deviation of d, as
    published. The published code learns from as many others as own images; here both sides weigh the same whatever
    their numbers, so that a score of 0 means even odds as it does there. Seeded: the same images in the same order
    give the same state.

    Args:
        conditional, unconditional: log-probabilities (N, L), nats.
        own: bool (N,).
        lengths: tokens a scale.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        score = TokenScore(lengths).to(conditional.device)
        labels = own.float() * (1 - SMOOTHING) + SMOOTHING / 2
        weights = torch.where(own, 0.5 / own.sum(), 0.5 / (~own).sum())
        optimizer = torch.optim.AdamW(score.parameters(), lr=LEARNING_RATE)
        for _ in range(epochs):
            noise = torch.randn(conditional.shape, generator=generator).to(conditional)
            logits = score(conditional, unconditional, noise)
            loss = F.binary_cross_entropy_with_logits(logits, labels, weights, reduction="sum")
            loss = loss + NORM_PENALTY * (score.w.abs().sum() - 1) ** 2
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return {name: value.detach() for name, value in score.state_dict().items()}


def restored(state: Mapping[str, Tensor], lengths: Sequence[int]) -> TokenScore:
    """The score with a learned state, on the state's device, ready to score."""
    score = TokenScore(lengths).to(state["alpha"].device)
    score.load_state_dict(dict(state))
    return score.eval().requires_grad_(False)
