"""How much a search may spend."""

from __future__ import annotations

from dataclasses import dataclass

from iarbench.errors import UserError


@dataclass(frozen=True, slots=True)
class Budget:
    """``iterations`` over all tokens (each also costs the model one factorisation, once), and local ``moves``, some
    five times as dear each as an iteration. Fewer than 20 iterations leave propagation unfinished; 0 leave it out.
    """

    iterations: int = 24
    moves: int = 0

    def __post_init__(self) -> None:
        if self.iterations < 0 or self.moves < 0:
            raise UserError(f"a search budget needs counts of 0 or more, not {self.iterations} and {self.moves}")


MODES_ONLY = Budget(iterations=0, moves=0)
"""Greedy and iterated conditional modes alone: milliseconds an image, no factorisation."""
