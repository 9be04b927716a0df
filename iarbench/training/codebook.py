"""Learning a codebook by moving averages of what is assigned to each code (van den Oord et al. 2017, appendix A.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from iarbench.nn.quantize import Assignment


class CodebookAverage:
    """Keeps ``embedding`` at the running mean of its assigned vectors and revives codes nobody uses."""

    def __init__(self, embedding: nn.Embedding, decay: float = 0.99, dead_below: float = 0.02) -> None:
        self.embedding = embedding.requires_grad_(False)
        self.decay = decay
        self.dead_below = dead_below
        self.counts = embedding.weight.new_zeros(embedding.num_embeddings)
        self.sums = torch.zeros_like(embedding.weight)
        self.started = False

    @torch.no_grad()
    def start(self, steps: list[Assignment]) -> None:
        """Fill the codebook with vectors of the first batch, jittered so that no two codes are equal."""
        self._fill(torch.arange(len(self.counts), device=self.counts.device), _pool(steps))
        self.started = True

    @torch.no_grad()
    def update(self, steps: list[Assignment], revive: bool) -> int:
        """Fold one batch in; with ``revive``, restart dead codes at vectors of this batch. Returns how many were."""
        for step in steps:
            tokens = step.tokens.flatten()
            weight = (1 - self.decay) / len(steps)
            self.counts.mul_(self.decay ** (1 / len(steps))).add_(
                torch.bincount(tokens, minlength=len(self.counts)), alpha=weight
            )
            self.sums.mul_(self.decay ** (1 / len(steps))).index_add_(0, tokens, step.vectors.float(), alpha=weight)
        alive = self.counts > self.dead_below
        self.embedding.weight.data[alive] = self.sums[alive] / self.counts[alive, None]
        dead = (~alive).nonzero().flatten()
        if revive and len(dead):
            self._fill(dead, _pool(steps))
        return len(dead)

    def state_dict(self) -> dict[str, Tensor]:
        """Counts and sums, for a checkpoint."""
        return {"counts": self.counts, "sums": self.sums}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from :meth:`state_dict`."""
        self.counts.copy_(state["counts"])
        self.sums.copy_(state["sums"])
        self.started = True

    def _fill(self, rows: Tensor, pool: Tensor) -> None:
        # Chance comes from the CPU: a checkpoint holds its state, and a GPU sees the same.
        chosen = pool[torch.randint(len(pool), (len(rows),))]
        chosen = chosen + 0.01 * pool.std() * torch.randn(chosen.shape).to(chosen)
        self.embedding.weight.data[rows] = chosen
        self.counts[rows], self.sums[rows] = 1.0, chosen


def _pool(steps: list[Assignment]) -> Tensor:
    """The batch's vectors with every scale equally heard, although fine scales have many more of them."""
    return torch.cat([s.vectors[torch.randint(len(s.vectors), (256,))].float() for s in steps])
