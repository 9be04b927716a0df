"""EncLoss (arXiv 2606.28386, Eq. 9): the error of one trip through the autoencoder over that of a second trip.

    EncLoss(x) = (MSE(x_hat, x) + eps) / (MSE(x_hat_hat, x_hat) + eps),  x_hat = D(E(x)),  eps = 1e-10

Nothing is quantised on the way. The second trip calibrates for how hard the image is: for an image that the decoder
made both trips cost about the same, for any other the first costs more. With the original encoder this is the
uncalibrated form of AEDR (arXiv 2507.18988).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from iarbench.detector import Detector, mse
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-10  # the second trip can be free, exactly, after a good fine-tuning


class EncLoss(Detector):
    """Minus the double reconstruction ratio; two encoder and two decoder passes."""

    name: ClassVar[str] = "encloss"
    requires: ClassVar[frozenset[str]] = frozenset({"decode"})
    seconds_per_image: ClassVar[float | None] = 0.03
    mib_per_image: ClassVar[float | None] = 2.3

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        return {"encloss": -enc_loss(evidence)}


def enc_loss(evidence: Evidence) -> Tensor:
    """EncLoss (B,), lower for images of the target."""
    first = mse(evidence.x_hat, evidence.images)
    second = mse(evidence.x_hat_hat, evidence.x_hat)
    return (first + EPSILON) / (second + EPSILON)
