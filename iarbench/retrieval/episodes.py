"""Episodes: many small N-way K-shot tasks, each with generators, gallery and queries of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from iarbench.errors import UserError
from iarbench.stats.metrics import Estimate
from iarbench.stats.retrieval import unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Features = Mapping[str, NDArray[np.float64]]
    """Class -> features (n, D)."""

QUERIES = 15
"""Queries per class and episode, as is common in few-shot learning."""


@dataclass(frozen=True, slots=True)
class Episodes:
    """Accuracy of the nearest gallery image over all episodes of one kind, as a fraction."""

    ways: int
    """Classes in an episode."""
    shots: int
    """Gallery images per class."""
    episodes: int
    accuracy: Estimate
    """95 % interval of the mean over episodes, which share their pools of images."""
    chance: float


def run_episodes(pool: Features, queries: Features, ways: int, shots: int, episodes: int, seed: int) -> Episodes:
    """Draw classes, then `shots` of each from `pool` and up to 15 from `queries`; all from one seed.

    Raises:
        UserError: fewer classes than ways, or fewer images than shots.
    """
    names = sorted(set(pool) & set(queries))
    if not 2 <= ways <= len(names):
        raise UserError(f"{ways}-way episodes: give 2 to {len(names)} ways, as many classes as there are")
    if short := next((name for name in names if len(pool[name]) < shots), None):
        raise UserError(f"{shots}-shot episodes: {short} has only {len(pool[short])} images to draw from")
    known = {name: unit(pool[name]) for name in names}
    asked = {name: unit(queries[name]) for name in names}
    rng = np.random.default_rng([seed, ways, shots])
    right = []
    for _ in range(episodes):
        chosen = [names[place] for place in rng.choice(len(names), ways, replace=False)]
        gallery = np.concatenate([known[name][rng.choice(len(known[name]), shots, replace=False)] for name in chosen])
        shares = []
        for place, name in enumerate(chosen):
            rows = rng.choice(len(asked[name]), min(QUERIES, len(asked[name])), replace=False)
            nearest = (asked[name][rows] @ gallery.T).argmax(1) // shots
            shares.append(float((nearest == place).mean()))
        right.append(float(np.mean(shares)))
    mean = float(np.mean(right))
    half = float(norm.ppf(0.975) * np.std(right, ddof=1) / np.sqrt(episodes)) if episodes > 1 else 0.0
    return Episodes(ways, shots, episodes, Estimate(mean, mean - half, mean + half), 1 / ways)
