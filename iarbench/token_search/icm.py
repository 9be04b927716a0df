"""Iterated conditional modes: each token in turn takes the code that is best given all others.

With residual r, changing token j from e to e_v changes |r|^2 by Q_jv - 2 g.e_v + const, where Q_jv = |A_j e_v|^2 and
g = A_j' r + A_j' A_j e: exact, and the error never rises. Tokens whose contributions do not overlap change together.
All of it is a choice between codes whose costs are of one size, which rounding hardly disturbs: float32, half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from iarbench.token_search.linear import LinearMap

# A change must save this share of a code's own energy: rounding then cannot make two equal codes alternate.
MARGIN = 1e-5


@dataclass(frozen=True, slots=True)
class Class:
    """Tokens (n,) that share no feature, each with the features it reaches, padded to the same count P.

    ``columns`` float32 (n, C, P) is A_j' at the features ``rows`` int64 (n * P,); padding reads row D, whose columns
    are zero. ``gram`` (n, C, C) is A_j' A_j, ``energy`` (n, 1, V) is Q_jv, ``margin`` (n, 1) what a change must save.
    """

    tokens: Tensor
    rows: Tensor
    columns: Tensor
    gram: Tensor
    energy: Tensor
    margin: Tensor

    def within(self, tokens: Tensor) -> Class | None:
        """Those of the class that are among the positions ``tokens``."""
        own = torch.isin(self.tokens, tokens)
        if not own.any():
            return None
        rows = self.rows.view(len(own), -1)[own].flatten()
        return Class(self.tokens[own], rows, self.columns[own], self.gram[own], self.energy[own], self.margin[own])


class ConditionalModes:
    """The classes of all tokens, and the search over them."""

    def __init__(self, linear: LinearMap) -> None:
        self.linear = linear
        self.classes = _classes(linear)
        self.codes = linear.codes.float()
        self._weights = -2 * self.codes.T.contiguous()

    def within(self, tokens: Tensor) -> tuple[Class, ...]:
        """The classes restricted to some token positions (n,)."""
        return tuple(part for c in self.classes if (part := c.within(tokens)))

    def run(self, y: Tensor, tokens: Tensor, sweeps: int, classes: Sequence[Class] | None = None) -> Tensor:
        """Tokens (L, B) after at most ``sweeps`` passes over ``classes``, all by default, for features (B, D)."""
        tokens = tokens.clone()
        residual = F.pad(self.linear.residual(y, tokens).float().T, (0, 0, 0, 1))  # (D + 1, B)
        for _ in range(sweeps):
            changed = [self._update(residual, tokens, part) for part in classes or self.classes]
            if not any(changed):
                break
        return tokens

    def _update(self, residual: Tensor, tokens: Tensor, part: Class) -> bool:
        """Re-choose the tokens of a class in place; whether any has changed."""
        codes, n = self.codes, len(part.tokens)
        old = tokens[part.tokens]
        current = codes[old]  # (n, B, C)
        g = torch.bmm(part.columns, residual.index_select(0, part.rows).view(n, -1, residual.shape[1])).mT
        g = torch.baddbmm(g, current, part.gram)
        cost = torch.baddbmm(part.energy, g, self._weights.expand(n, -1, -1))  # (n, B, V)
        gain = cost.gather(2, old.unsqueeze(2)).squeeze(2) - cost.amin(2)
        better = gain > part.margin
        if not better.any():
            return False
        new = old.clone()
        new[better] = cost[better].argmin(1)  # few of them, and argmin is far slower than amin
        tokens[part.tokens] = new
        change = torch.bmm(part.columns.mT, (current - codes[new]).mT)
        residual.index_add_(0, part.rows, change.flatten(0, 1))
        return True


def _classes(linear: LinearMap) -> tuple[Class, ...]:
    """Greedy colouring: each token joins the first class of its scale with none of whose tokens it shares a feature."""
    pixels, length, device = linear.side**2, len(linear.scale), linear.codes.device
    columns, support = [], []
    for first in range(0, length, 64):
        dense = linear.columns(first, min(first + 64, length)).unflatten(2, (linear.dim, pixels))
        support.append(dense.abs().amax((1, 2)) > 0)
        columns += [block[:, :, at].flatten(1) for block, at in zip(dense, support[-1], strict=True)]  # (C, C * p)
    reached = torch.cat(support)
    members: list[list[int]] = []
    for k in range(len(linear.sides)):
        taken, own = torch.zeros(0, pixels, dtype=torch.bool, device=device), list[list[int]]()
        for j in torch.nonzero(linear.scale == k).squeeze(1).tolist():
            free = torch.nonzero(~(taken & reached[j]).any(1)).flatten()
            home = int(free[0]) if len(free) else len(own)
            if home == len(own):
                own.append([])
                taken = torch.cat([taken, reached[j : j + 1]])
            own[home].append(j)
            taken[home] |= reached[j]
        members += own
    return tuple(_packed(tokens, columns, reached, linear) for tokens in members)


def _packed(tokens: list[int], columns: list[Tensor], reached: Tensor, linear: LinearMap) -> Class:
    most, pixels = max(columns[j].shape[1] for j in tokens), linear.side**2
    channel = pixels * torch.arange(linear.dim, device=reached.device).unsqueeze(1)
    rows = [(channel + torch.nonzero(reached[j]).T).flatten() for j in tokens]
    padded = [F.pad(r, (0, most - len(r)), value=linear.dim * pixels) for r in rows]
    blocks = torch.stack([F.pad(columns[j], (0, most - columns[j].shape[1])) for j in tokens])
    codes, gram = linear.codes, linear.gram[tokens]
    energy = ((codes @ gram) * codes).sum(2)
    margin = MARGIN * energy.mean(1, keepdim=True)
    numbers = (each.float() for each in (blocks, gram, energy.unsqueeze(1), margin))
    return Class(torch.tensor(tokens, device=reached.device), torch.cat(padded), *numbers)
