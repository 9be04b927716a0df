"""Reconstruction, the baseline of arXiv 2606.28386: the pixel error of one trip through the whole tokenizer.

Reconstruction(x) = MSE(D(f_Z), x),  f_Z = Q(E(x))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from iarbench.detector import Detector, mse
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor


class Reconstruction(Detector):
    """Minus the reconstruction error in pixels; one encoder and one decoder pass."""

    name: ClassVar[str] = "reconstruction"
    requires: ClassVar[frozenset[str]] = frozenset({"quantize", "decode"})
    seconds_per_image: ClassVar[float | None] = 0.017
    mib_per_image: ClassVar[float | None] = 3.6

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        return {"reconstruction": -mse(evidence.x_hat_quant, evidence.images)}
