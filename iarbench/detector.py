"""Detector: a score that says how likely a target made an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from iarbench.errors import UserError
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor


class Detector(ABC):
    """Base of all detectors. Raise ``version`` whenever a score could change: it is part of every stored result."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    requires: ClassVar[frozenset[str]] = frozenset()
    """What it needs of a tokenizer, out of `Tokenizer.capabilities`."""

    @property
    def parameters(self) -> Mapping[str, float | int | str | bool]:
        """What this object was made with, part of the identity of its scores; {} when there is nothing to choose."""
        return {}

    @abstractmethod
    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        """Score name -> one score an image, (B,); higher = more likely made by the target.

        The score of an image must not depend on the others of the batch.
        """


@dataclass(frozen=True, slots=True)
class Scored:
    """One batch by one detector: score name -> float64 values on the CPU, and seconds an image as if run alone."""

    scores: dict[str, list[float]]
    seconds: float


def apply(detector: Detector, evidence: Evidence) -> Scored:
    """Score a batch and check what came back.

    Raises:
        UserError: the tokenizer lacks what the detector requires, or the scores are not one number an image.
    """
    lacking = sorted(detector.requires - evidence.target.tokenizer.capabilities)
    if lacking:
        raise UserError(f"detector {detector.name!r} needs {', '.join(lacking)}, which {evidence.target.name} has not")
    found, seconds = evidence.timed(lambda: detector.score(evidence))
    size = len(evidence.images)
    for name, values in found.items():
        if tuple(values.shape) != (size,):
            raise UserError(
                f"detector {detector.name!r}: score {name!r} has shape {tuple(values.shape)} for {size} images; "
                f"return one number an image, shape ({size},)"
            )
    return Scored({name: values.detach().double().tolist() for name, values in found.items()}, seconds / size)


def mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of two batches (B, ...) over all but the first axis, in float32: (B,)."""
    return (a.float() - b.float()).square().flatten(1).mean(1)
