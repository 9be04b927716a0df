"""LatentTracer (Wang et al., arXiv 2405.13360): how well the decoder can be made to reproduce an image, starting near.

As RONAN, but the start is the encoder's answer, here quantised, and some hundred small steps are enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from iarbench.detector import Detector
from iarbench.detectors.inversion import distinct, losses_while_inverting
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

    from iarbench.tokenizer import Tokenizer

STEPS = 100


class LatentTracer(Detector):
    """Descent on the pixel error from the quantised features, 100 steps of Adam; minus the loss that is left.

    Args:
        preset: whose schedule. Both start at the codebook features of the encoder's answer, as the official code does
            for quantised models, and move them freely from there.
            ``official`` (ZhentingWang/LatentTracer, the README's commands): learning rate 0.05, halved after the steps
            number 0, 50, 100, ..., so that it holds for the first step alone; error in [0, 1], the decoded image
            clamped to it; the score is the lowest loss of all steps.
            ``iclr`` (sprintml/DataProvenanceIAR, the port that arXiv 2606.28386 compares with): learning rate 0.01,
            halved after 50 steps; error in the model's own pixel range, nothing clamped; the score is the last loss.
            Both read a loss before the update of the same step. Where the code averages the losses of a batch they are
            summed, so that Adam's epsilon weighs the same for every image whatever its batch.
    """

    name: ClassVar[str] = "latenttracer"
    requires: ClassVar[frozenset[str]] = frozenset({"quantize", "decode", "grad"})
    seconds_per_image: ClassVar[float | None] = 2.7
    mib_per_image: ClassVar[float | None] = 19

    def __init__(self, preset: Literal["official", "iclr"] = "official") -> None:
        self.preset = preset

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        loss = evidence.signal(f"latenttracer/{self.preset}", lambda: self._loss(evidence))
        return {"latenttracer": -loss}

    def _loss(self, evidence: Evidence) -> Tensor:
        first, place, _ = distinct(evidence.images)
        images, start = evidence.images[first], evidence.quantized.features[first]
        losses = (official if self.preset == "official" else iclr)(evidence.target.tokenizer, images, start)
        return losses[place]


def official(tokenizer: Tokenizer, images: Tensor, start: Tensor) -> Tensor:
    """The lowest loss (B,), in [0, 1], by the official schedule: images (B, 3, H, W), features (B, C, h, w)."""
    rates = [0.05 * 0.5 ** -(-step // 50) for step in range(STEPS)]
    return losses_while_inverting(tokenizer.decode, images, start, rates).amin(1)


def iclr(tokenizer: Tokenizer, images: Tensor, start: Tensor) -> Tensor:
    """The loss (B,) before the last step, in the model's pixel range, by the schedule of the port."""
    rates = [0.01 * 0.5 ** (step // 50) for step in range(STEPS)]
    return losses_while_inverting(tokenizer.decode_native, tokenizer.to_native(images), start, rates)[:, -1]
