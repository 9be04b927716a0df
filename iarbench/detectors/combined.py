"""Combined (arXiv 2606.28386, Eq. 11): the product QuantLoss(x) * EncLoss(x)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from iarbench.detector import Detector
from iarbench.detectors.encloss import enc_loss
from iarbench.detectors.quantloss import quant_loss
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor


class Combined(Detector):
    """Minus the product of QuantLoss and EncLoss; two encoder and two decoder passes."""

    name: ClassVar[str] = "combined"
    version: ClassVar[int] = 6
    requires: ClassVar[frozenset[str]] = frozenset({"quantize", "decode"})
    seconds_per_image: ClassVar[float | None] = 0.12
    mib_per_image: ClassVar[float | None] = 15

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        return {"combined": -(quant_loss(evidence) * enc_loss(evidence))}
