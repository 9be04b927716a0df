"""How much a search may spend."""

from __future__ import annotations

from dataclasses import dataclass

from iarbench.errors import UserError

# Iterations that finish propagation, and the numbers that the matrices of all iterations, each of the features' number
# squared, may hold together: 3 GiB, in memory and on disk, which is just enough for VAR's 16 x 16 x 32 features.
ENOUGH = 6
MOST_NUMBERS = 3 * 2**27


@dataclass(frozen=True, slots=True)
class Budget:
    """``iterations`` over all tokens (each also costs the model one factorisation, once), and local ``moves``, some
    five times as dear each as an iteration. No number of iterations means 6, or as many as memory allows where the
    features are many; 0 leave propagation out.
    """

    iterations: int | None = None
    moves: int = 0

    def __post_init__(self) -> None:
        if (self.iterations or 0) < 0 or self.moves < 0:
            raise UserError(f"a search budget needs counts of 0 or more, not {self.iterations} and {self.moves}")

    def iterations_for(self, features: int) -> int:
        """The iterations for a map of that many numbers."""
        if self.iterations is not None:
            return self.iterations
        return max(1, min(ENOUGH, MOST_NUMBERS // features**2))


MODES_ONLY = Budget(iterations=0, moves=0)
"""Greedy and iterated conditional modes alone: milliseconds per image, no factorisation."""
