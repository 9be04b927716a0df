"""AEDR (Wang et al., arXiv 2507.18988): the error of one trip through the autoencoder over that of a second trip.

    t'(x) = L1 / L2 * H(x),  L1 = MSE(R(x), x),  L2 = MSE(R(R(x)), R(x)),  R = D(E(.))

H is the homogeneity of the image. `encloss` is the same ratio as the ICLR paper runs it, without H: there R(x) is
clamped to the pixel range before it goes through again. Here nothing is clamped or rounded between the trips, as in
AEDR's own code, which also samples a latent from the encoder's distribution; the encoders of IARs give one answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from iarbench.detector import Detector, mse
from iarbench.detectors.texture import homogeneity, to_pixels
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-10
"""Added to both errors, where the code has nothing: the second trip can be free."""


class AEDR(Detector):
    """Minus the double reconstruction ratio times the homogeneity; two encoder and two decoder passes.

    Args:
        homogeneity: weight of neighbours whose grey levels differ by d: ``square``, 1 / (1 + d^2), as in the released
            code, or ``absolute``, 1 / (1 + d), as in the paper's Eq. 4.
        quantise: whether features are replaced by codebook features before they are decoded. The paper does so for its
            two quantised autoencoders; the comparison of arXiv 2606.28386 does not.
    """

    name: ClassVar[str] = "aedr"
    requires: ClassVar[frozenset[str]] = frozenset({"decode", "quantize"})
    seconds_per_image: ClassVar[float | None] = 0.033
    mib_per_image: ClassVar[float | None] = 3.2

    def __init__(self, homogeneity: Literal["square", "absolute"] = "square", quantise: bool = False) -> None:
        self.weight, self.quantise = homogeneity, quantise

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        texture = [homogeneity(one, self.weight) for one in to_pixels(evidence.images)]
        return {"aedr": -ratio(evidence, self.quantise) * evidence.images.new_tensor(texture)}


class PlainAEDR(Detector):
    """Minus the double reconstruction ratio of AEDR without the homogeneity.

    Args:
        quantise: as for `aedr`.
    """

    name: ClassVar[str] = "aedr-plain"
    requires: ClassVar[frozenset[str]] = frozenset({"decode", "quantize"})
    seconds_per_image: ClassVar[float | None] = 0.034
    mib_per_image: ClassVar[float | None] = 2.9

    def __init__(self, quantise: bool = False) -> None:
        self.quantise = quantise

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        return {"aedr-plain": -ratio(evidence, self.quantise)}


def ratio(evidence: Evidence, quantise: bool) -> Tensor:
    """L1 / L2 (B,) in the range [-1, 1], lower for images of the target."""
    return evidence.signal(f"aedr/{quantise}", lambda: _ratio(evidence, quantise))


def _ratio(evidence: Evidence, quantise: bool) -> Tensor:
    first = evidence.quantized.features if quantise else evidence.f
    once = evidence.decode_unclamped(first)
    again = evidence.encode(once)
    if quantise:
        again = evidence.target.tokenizer.quantize(again).features
    twice = evidence.decode_unclamped(again)
    # Errors in [-1, 1] are four times those in [0, 1].
    return (4 * mse(once, evidence.images) + EPSILON) / (4 * mse(twice, once) + EPSILON)
