"""QuantLoss of features that reproduce the image: the encoder's answer improved by descent through the decoder.

An encoder's single guess leaves an error larger than the distance between the sums of a multi-scale quantiser. But an
image that the decoder made has features that reproduce it exactly, and those lie on the codebook. For any other image
the features that come nearest to it are driven far away from all codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from iarbench.detector import Detector
from iarbench.detectors.quantloss import SOLVER, quantisation_scores, searches
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

    from iarbench.tokenizer import Tokenizer

STEPS = 40
#: of Adam, in standard deviations of the image's own features; falls linearly to a tenth
RATE = 0.06


class QuantLossDescent(Detector):
    """QuantLoss and its companions after 40 steps of descent on the pixel error, some 120 decoder passes per image."""

    name: ClassVar[str] = "quantloss-descent"
    version: ClassVar[int] = 3
    requires: ClassVar[frozenset[str]] = frozenset({"quantize", "decode", "grad"})
    seconds_per_image: ClassVar[float | None] = 1.3
    mib_per_image: ClassVar[float | None] = 22

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        tokenizer = evidence.target.tokenizer
        f = evidence.signal("descended", lambda: descend(tokenizer, evidence.images, evidence.f))
        greedy = tokenizer.quantize(f).features
        found = tokenizer.search(f, SOLVER).features if searches(evidence) else None
        return quantisation_scores("searched", self.name, f, greedy, found)


def descend(tokenizer: Tokenizer, images: Tensor, f: Tensor) -> Tensor:
    """Features (B, C, h, w) that decode to something nearer to images (B, 3, H, W) in [0, 1] than ``f`` does.

    What an image gets does not depend on the others of its batch.
    """
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        start, native = f.detach().clone(), tokenizer.to_native(images.detach().clone())
        unit = start.flatten(1).std(dim=1)[:, None, None, None] + 1e-6
        moved = torch.zeros_like(start, requires_grad=True)
        optimizer = torch.optim.Adam([moved], lr=RATE, betas=(0.9, 0.95))
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * (1 - 0.9 * step / STEPS)
            error = (tokenizer.decode_native(start + unit * moved) - native).square().flatten(1).mean(1)
            # In thousands: beside small gradients Adam's own floor would count.
            (moved.grad,) = torch.autograd.grad(1e3 * error.sum(), moved)
            optimizer.step()
        return (start + unit * moved).detach()
