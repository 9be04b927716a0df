"""Iterated conditional modes: each token in turn takes the code that is best given all others.

With residual r, changing token j from e to e_v changes |r|^2 by Q_jv - 2 g.e_v + const, where Q_jv = |A_j e_v|^2 and
g = A_j' r + A_j' A_j e: exact, and the error never rises. Tokens whose contributions do not overlap change together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from iarbench.nn.search.linear import LinearMap

# A change must save this share of a code's own energy: rounding then cannot make two equal codes alternate.
MARGIN = 1e-6


class ConditionalModes:
    """The precomputed energies Q_jv (L, V) and the classes of tokens that do not overlap."""

    def __init__(self, linear: LinearMap) -> None:
        self.linear = linear
        codes = linear.codes
        self.energy = torch.stack([((codes @ gram) * codes).sum(1) for gram in linear.gram])
        self.margin = MARGIN * self.energy.mean(1, keepdim=True)
        self.classes = _independent(linear)

    def within(self, tokens: Tensor) -> list[Tensor]:
        """The classes restricted to some token positions (n,)."""
        parts = [c[torch.isin(c, tokens)] for c in self.classes]
        return [part for part in parts if len(part)]

    def run(self, y: Tensor, tokens: Tensor, sweeps: int, classes: Sequence[Tensor] | None = None) -> Tensor:
        """Tokens (B, L) after at most ``sweeps`` passes over ``classes``, all by default, for features (B, D)."""
        tokens, residual = tokens.clone(), self.linear.residual(y, tokens)
        for _ in range(sweeps):
            before = tokens.clone()
            for part in self.classes if classes is None else classes:
                residual = self._update(residual, tokens, part)
            if torch.equal(before, tokens):
                break
        return tokens

    def _update(self, residual: Tensor, tokens: Tensor, part: Tensor) -> Tensor:
        """Re-choose the tokens ``part`` in place; the new residual (B, D)."""
        codes, columns = self.linear.codes, self.linear.columns[part].flatten(0, 1)
        old = tokens[:, part]
        current = codes[old]  # (B, n, C)
        g = (residual @ columns.T).view_as(current)
        g = g + (current.unsqueeze(2) @ self.linear.gram[part]).squeeze(2)
        cost = self.energy[part].unsqueeze(1) - 2 * (g.transpose(0, 1) @ codes.T)  # (n, B, V)
        least, best = cost.min(2)  # (n, B)
        gain = cost.gather(2, old.T.unsqueeze(2)).squeeze(2) - least
        new = torch.where(gain > self.margin[part], best, old.T).T
        tokens[:, part] = new
        return residual - (codes[new] - current).flatten(1) @ columns


def _independent(linear: LinearMap) -> list[Tensor]:
    """Greedy colouring: classes of tokens, in order, none of which share a feature."""
    side = linear.side**2
    support = linear.columns.abs().amax(1).unflatten(1, (-1, side)).amax(1) > 0
    overlap = ((support.float() @ support.float().T) > 0).tolist()
    classes: list[list[int]] = []
    for j, row in enumerate(overlap):
        home = next((c for c in classes if not any(row[i] for i in c)), None)
        if home is None:
            classes.append([j])
        else:
            home.append(j)
    return [torch.tensor(c, device=linear.codes.device) for c in classes]
