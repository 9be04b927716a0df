"""RONAN (Wang et al., "Where Did I Come From?", arXiv 2305.18439, section 3): can the generator make this image?

Its input is searched by gradient descent from a random start; images of the generator are reached, others are not.
The loss is divided by how complicated the image is, since plain images are reached by any generator.

An auto-regressive model samples tokens and has no input to search. What is deterministic in it is the tokenizer's
decoder, and that is inverted here: a start from N(0, 1) in the shape of a feature map, no encoder and no codebook.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar, Literal

from iarbench.detector import Detector
from iarbench.detectors.inversion import distinct, losses_while_inverting
from iarbench.detectors.texture import entropy_2d, to_pixels
from iarbench.errors import UserError
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor


class Ronan(Detector):
    """Inversion of the decoder from random starts, 1,500 steps of Adam; the lowest loss over image complexity.

    Scores, both higher for the target's images: ``ronan``, minus the lowest loss over :func:`entropy_2d`; ``plain``,
    minus the lowest loss. The loss is the mean squared error in [0, 1], the decoded image not clamped, read before the
    update of the same step. The released code prints both and combines nothing; the division is the paper's.

    Args:
        steps: of Adam; the README's commands take 1,500, the code's default is 2,000.
        lr: constant; the README's commands take 0.1, the code's default is 0.01.
        restarts: random starts per image, each at the cost of one; the README's commands make 1 (`--bs 1`), the code's
            default is 8.
        strategy: what is lowest over the steps: ``min``, the loss of the best restart (README), or ``mean``, the mean
            over the restarts of one step (the code's default). The same for one restart.
    """

    name: ClassVar[str] = "ronan"
    requires: ClassVar[frozenset[str]] = frozenset({"decode", "grad"})
    seconds_per_image: ClassVar[float | None] = 39
    mib_per_image: ClassVar[float | None] = 16

    def __init__(
        self, steps: int = 1500, lr: float = 0.1, restarts: int = 1, strategy: Literal["min", "mean"] = "min"
    ) -> None:
        for what, value in (("steps", steps), ("restarts", restarts)):
            if value < 1:
                raise UserError(f"ronan: {what} is {value}; give a whole number from 1")
        if not lr > 0:
            raise UserError(f"ronan: lr is {lr:g}; give a number above 0")
        self.steps, self.lr, self.restarts, self.strategy = steps, lr, restarts, strategy

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        name = f"ronan/{self.steps}/{self.lr}/{self.restarts}/{self.strategy}"
        loss = evidence.signal(name, lambda: self._loss(evidence))
        complexity = evidence.signal("entropy_2d", lambda: _complexity(evidence.images))
        return {"ronan": -loss / complexity, "plain": -loss}

    def _loss(self, evidence: Evidence) -> Tensor:
        """The lowest loss (B,) of each image."""
        tokenizer = evidence.target.tokenizer
        first, place, contents = distinct(evidence.images)
        wanted = evidence.images[first].repeat_interleave(self.restarts, 0)
        shape = tokenizer.encode(evidence.images[:1]).shape[1:]
        start = starts(contents, self.restarts, tuple(shape)).to(wanted)
        losses = losses_while_inverting(tokenizer.decode_unclamped, wanted, start, [self.lr] * self.steps)
        losses = losses.unflatten(0, (len(first), self.restarts))
        at_once = losses.amin(1) if self.strategy == "min" else losses.mean(1)
        return at_once.amin(1)[place]


def starts(contents: list[bytes], restarts: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers (B * restarts, *shape), the restarts of an image together, float32 on the CPU.

    They follow from ``contents`` (a digest of each image's pixels) and the number of the restart alone.
    """
    import torch

    drawn = []
    for content in contents:
        for restart in range(restarts):
            seed = int.from_bytes(hashlib.sha256(content + restart.to_bytes(4, "big")).digest()[:8], "big")
            drawn.append(torch.randn(shape, generator=torch.Generator().manual_seed(seed % 2**63)))
    return torch.stack(drawn)


def _complexity(images: Tensor) -> Tensor:
    return images.new_tensor([entropy_2d(one) for one in to_pixels(images)])
