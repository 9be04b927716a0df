"""D3QE (arXiv 2510.05891) at the size of the minis: real or generated, from the statistics of one family's codebook.

The published detector sees every image through LlamaGen's tokenizer, learns from its images and photographs alone, and
is then asked about other generators. So does this one, and it is much smaller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from iarbench.detector import Detector
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.fit_batch import FitBatch

if TYPE_CHECKING:
    from torch import Tensor

    from iarbench.detectors.codebook_network import Views

MOST_CODES = 2**17


class D3QE(Detector):
    """How likely an image is generated, by whomever; the same score for every target.

    It sees the image through the tokenizer of ``trained_on`` and learns from the split `fit`: images of that generator
    against the task's photographs, each also mirrored. Other generators are not shown.

    As published: the residual of quantisation, and how much oftener generated images use each token's code. Otherwise:
    a small convolutional branch (two layers of 16 channels) on the pixels in place of the published CLIP ViT-L/14,
    which would be 1,700 times all minis together and sees 224 pixels; convolutions and an average in place of
    attention biased by the code frequencies; no blur or JPEG while it learns; frequencies counted once, over the
    other half of the images, in place of running counts (`iarbench.detectors.codebook_network`). Of several scales it
    reads the finest one's tokens. It is not a reproduction of the published numbers.

    Score: ``d3qe``, the network's logit.
    """

    name: ClassVar[str] = "d3qe"
    uses_target: ClassVar[bool] = False
    requires: ClassVar[frozenset[str]] = frozenset({"quantize"})
    seconds_per_image: ClassVar[float | None] = 0.0052
    mib_per_image: ClassVar[float | None] = 1.8

    def __init__(self, trained_on: str = "llamagen-mini", epochs: int = 30) -> None:
        if epochs < 1:
            raise UserError(f"epochs={epochs}: give 1 or more")
        self.through, self.epochs = trained_on, epochs

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        import torch

        from iarbench.detectors.codebook_network import joined, learn_network

        parts: list[Views] = []
        sides: list[Tensor] = []
        for batch in images:
            fake = torch.tensor([source == self.through for source in batch.sources], device=batch.real.device)
            chosen = fake | batch.real
            if not chosen.any():
                continue
            shown = batch.evidence.images[chosen]
            for some in (shown, shown.flip(-1)):
                parts.append(_views(batch.evidence, some))
                sides.append(fake[chosen])
        fake = torch.cat(sides)
        for missing, side in ((f"images of {self.through}", fake), ("photographs", ~fake)):
            if not side.any():
                raise UserError(f"there are no {missing} to learn from")
        views = joined(parts)
        codes = int(views.tokens.max()) + 2  # the last stands for all that are not among them
        if codes > MOST_CODES:
            raise UserError(f"{self.through} has more than {MOST_CODES} codes: too many to count; choose another one")
        return learn_network(views, fake, codes, self.epochs)

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        from iarbench.detectors.codebook_network import restored

        return {"d3qe": evidence.signal("d3qe", lambda: restored(evidence.learnt)(_views(evidence, evidence.images)))}


def _views(evidence: Evidence, images: Tensor) -> Views:
    """Images (B, 3, H, W) of the evidence, or made from them, seen through its tokenizer."""
    from iarbench.detectors.codebook_network import Views

    f = evidence.f if images is evidence.images else evidence.encode(images)
    quantized = evidence.quantized if images is evidence.images else evidence.target.tokenizer.quantize(f)
    height, width = f.shape[2:]
    tokens = quantized.tokens[:, -height * width :].unflatten(1, (height, width))
    return Views(images, quantized.features - f, tokens)
