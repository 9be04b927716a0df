"""The scores of one detector for one target under one attack, by the places of their images in an index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from iarbench.images.compact import Places
from iarbench.results.quality import Left
from iarbench.stats.thresholds import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """`scores` (n,) float64, a value an image of the index, higher = more likely the target's; `there` (n,): whether
    there is one."""

    scores: FloatArray
    there: npt.NDArray[np.bool_]
    seconds: float
    """an image took on average"""
    attack_version: int


def whose(identity: Mapping[str, object]) -> str:
    """What messages call the scores of a detector for a target."""
    return "/".join(str(identity[key]) for key in ("detector", "score_name", "encoder", "target"))


class CellScores(ABC):
    """One named score of one detector for one target, under every attack, wherever it is kept."""

    main: bool
    """Whether it stands for its detector."""
    tells_siblings: bool
    """Whether the detector reads more than what generators with one tokenizer share."""
    attacks: tuple[str, ...]

    @abstractmethod
    def known(self, attack: str) -> Known:
        """Its scores under one of `attacks`.

        Raises:
            UserError: they cannot be read, an image has two, or none is of an image of the index.
        """

    @abstractmethod
    def left(self, attack: str, places: Places) -> Left:
        """What the attack left of the images at these places."""
