"""QuantLoss (arXiv 2606.28386, Eq. 4 and 5): how far the encoder's features lie from the codebook.

    QuantLoss(x) = mean over C, h, w of (f - f_Z)^2,  f = E(x),  f_Z = Q(f)

Images that the model made were decoded from codebook features, so an encoder that inverts the decoder lands on them.
VAR's multi-scale quantiser is greedy and misses most of the tokens an image was made from; there f_Z is searched for,
and what tells best is how much nearer the search comes. Infinity's is greedy too, but its bits are found without: as in
the paper, a search loses more than it finds (docs/token_search.md); `quantloss-searched` makes it all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from iarbench.detector import Detector, mse
from iarbench.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

SOLVER = "ep"
EPSILON = 1e-10  # features may lie on the codebook exactly


class QuantLoss(Detector):
    """Minus the quantisation error in feature space; one encoder pass, and a search where that tells images best.

    Scores where there is a search, all higher for the target's images: ``searched``, minus the error after it (the
    paper's for VAR); ``greedy``, minus the error before it; ``ratio``, minus the first over the second: how much nearer
    the codebook is than it seemed, however hard the image. The one that the tokenizer names its `main_score` has the
    detector's own name instead.
    """

    name: ClassVar[str] = "quantloss"
    version: ClassVar[int] = 7
    requires: ClassVar[frozenset[str]] = frozenset({"quantize"})
    solver: ClassVar[str] = SOLVER
    seconds_per_image: ClassVar[float | None] = 0.079
    mib_per_image: ClassVar[float | None] = 17

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        main = self._main(evidence)
        found = evidence.searched(self.solver).features if can_search(evidence) and main != "greedy" else None
        return quantisation_scores(main, self.name, evidence.f, evidence.quantized.features, found)

    def _main(self, evidence: Evidence) -> str:
        return evidence.target.tokenizer.main_score


class QuantLossSearched(QuantLoss):
    """QuantLoss after a search wherever there is one, also where the family's own quantiser tells images better."""

    name: ClassVar[str] = "quantloss-searched"
    seconds_per_image: ClassVar[float | None] = 0.088
    mib_per_image: ClassVar[float | None] = 12

    def _main(self, evidence: Evidence) -> str:
        return "searched"


class QuantLossModes(QuantLossSearched):
    """QuantLoss by the quickest search, iterated conditional modes: milliseconds per image."""

    name: ClassVar[str] = "quantloss-modes"
    solver: ClassVar[str] = "modes"
    seconds_per_image: ClassVar[float | None] = 0.012
    mib_per_image: ClassVar[float | None] = 1.5


class QuantLossMoves(QuantLossSearched):
    """QuantLoss by the longest search, with local moves after the propagation."""

    name: ClassVar[str] = "quantloss-moves"
    solver: ClassVar[str] = "moves"
    seconds_per_image: ClassVar[float | None] = 0.86
    mib_per_image: ClassVar[float | None] = 16


class QuantLossReference(QuantLossSearched):
    """QuantLoss by the paper's search, 1,200 Adam steps on soft assignments; may end above greedy."""

    name: ClassVar[str] = "quantloss-reference"
    solver: ClassVar[str] = "reference"
    seconds_per_image: ClassVar[float | None] = 1.9
    mib_per_image: ClassVar[float | None] = 5.1


def quantisation_scores(main: str, name: str, f: Tensor, greedy: Tensor, found: Tensor | None) -> dict[str, Tensor]:
    """The scores of :class:`QuantLoss` for features f, their greedy codes and, where there is a search, what it found;
    all (B, C, h, w). The one called `main` comes first and is called `name`.
    """
    before = mse(f, greedy)
    if found is None:
        return {name: -before}
    after = mse(f, found)
    scores = {"searched": -after, "greedy": -before, "ratio": -(after + EPSILON) / (before + EPSILON)}
    return {name: scores.pop(main), **scores}


def can_search(evidence: Evidence) -> bool:
    """Whether the target's own quantiser is greedy, so that a search finds nearer codes."""
    return "search" in evidence.target.tokenizer.capabilities


def searches(evidence: Evidence) -> bool:
    """Whether there is a search and what it finds tells the target's images better."""
    return can_search(evidence) and evidence.target.tokenizer.main_score != "greedy"


def quant_loss(evidence: Evidence) -> Tensor:
    """QuantLoss (B,), lower for images of the target."""
    nearest = evidence.searched(SOLVER) if searches(evidence) else evidence.quantized
    return mse(evidence.f, nearest.features)
