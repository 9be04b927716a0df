"""QuantLoss (arXiv 2606.28386, Eq. 4 and 5): how far the encoder's features lie from the codebook.

    QuantLoss(x) = mean over C, h, w of (f - f_Z)^2,  f = E(x),  f_Z = Q(f)

Images that the model made were decoded from codebook features, so an encoder that inverts the decoder lands on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from iarbench.detector import Detector, Evidence, mse

if TYPE_CHECKING:
    from torch import Tensor


class QuantLoss(Detector):
    """Minus the quantisation error in feature space; one encoder pass, nothing else."""

    name: ClassVar[str] = "quantloss"
    requires: ClassVar[frozenset[str]] = frozenset({"quantize"})

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        return {"quantloss": -quant_loss(evidence)}


def quant_loss(evidence: Evidence) -> Tensor:
    """QuantLoss (B,), lower for images of the target."""
    return mse(evidence.f, evidence.quantized.features)
