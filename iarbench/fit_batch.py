"""What a detector learns from: a batch of images whose makers it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor


class FitBatch(tuple[Evidence, "Tensor"]):
    """The pair (evidence, own), which ``for evidence, own in images`` takes apart, with more to be asked for by name.

    ``own``: bool (B,), true for images of the target; false throughout for a detector that `learns_once`.
    """

    sources: tuple[str, ...]
    """Who made each image: the name of a generator, or of a set of real images; B of them."""
    real: Tensor
    """bool (B,), true for images of the task's sets of real images."""

    def __new__(cls, evidence: Evidence, own: Tensor, sources: tuple[str, ...], real: Tensor) -> FitBatch:
        batch = super().__new__(cls, (evidence, own))
        batch.sources, batch.real = sources, real
        return batch

    @property
    def evidence(self) -> Evidence:
        """The images, and what they look like through the target."""
        return self[0]

    @property
    def own(self) -> Tensor:
        """bool (B,), true for images of the target."""
        return self[1]
