"""Likelihood (PRADA, arXiv 2511.20068): how probable the target's own transformer finds the tokens of an image.

A generator samples tokens that it finds probable, and with guidance ones that are more probable under the condition
than without it. The tokens of any other image are not.

The published code is told the true class or prompt of every image. A photograph found somewhere has none, and to tell
it of own images alone would give them away: here the condition is averaged over. :class:`LikelihoodOracle` is told it
where a generator's record says it, to see what that is worth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from iarbench.detector import Detector
from iarbench.detectors.quantloss import SOLVER, searches
from iarbench.errors import UserError
from iarbench.evidence import Evidence, Target
from iarbench.fit_batch import FitBatch
from iarbench.models import variants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from iarbench.generator import Generator
    from iarbench.models.variants import Variant


PASS = 32
"""Images whose tokens go through the transformer at once while the score is learned."""


@dataclass(frozen=True, slots=True)
class LogProbabilities:
    """Of the tokens of B images, nats, (B, L): given the condition, and without one (zeros where the family cannot)."""

    conditional: Tensor
    unconditional: Tensor


class Likelihood(Detector):
    """PRADA's learned score, with the condition averaged over.

    The conditional log-probability of a token is that under an even mixture of conditions, given the tokens before it:
    over an image they add up to the log of the mean likelihood of its whole sequence (`iarbench.nn.likelihood`). The
    conditions are the target's classes or, where it reads prompts, its class names. All of them are tried on the
    coarser scales (without scales: on the first quarter of the tokens), and the ``conditions`` likeliest ones kept for
    the whole; 0 keeps all, which is exact. Taming has no unconditional mode: that term is left out.

    The score is learned on the split `fit`, own images against as many others, evenly from all other sources
    (``against="all"``: siblings with the same tokenizer too) or, as published, from photographs (``"real"``).

    Tokens are those nearest to the features that can be found, as for QuantLoss (``tokens="nearest"``), or those of the
    family's own quantiser, as published (``"greedy"``).

    Scores: ``likelihood`` (the name of the detector), the learned one, 0 = even odds of own and other; ``log-ratio``,
    the mean over tokens of d = log p(t | c) - log p(t); ``log-probability``, the mean of log p(t | c); ``icas``, the
    mean of d / (1.75 + exp(1.3 d)), which gives unlikely tokens more weight (the published code's form of ICAS).
    """

    name: ClassVar[str] = "likelihood"
    reads: ClassVar[frozenset[str]] = frozenset({"transformer"})
    requires: ClassVar[frozenset[str]] = frozenset({"quantize"})
    seconds_per_image: ClassVar[float | None] = 0.17
    mib_per_image: ClassVar[float | None] = 3

    def __init__(
        self,
        conditions: int = 4,
        against: Literal["all", "real"] = "all",
        tokens: Literal["nearest", "greedy"] = "nearest",
        epochs: int = 3000,
    ) -> None:
        if conditions < 0:
            raise UserError(f"conditions={conditions}: give how many of the likeliest to keep, or 0 for all")
        if epochs < 1:
            raise UserError(f"epochs={epochs}: give 1 or more")
        self.conditions, self.against, self.tokens, self.epochs = conditions, against, tokens, epochs

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        import torch

        from iarbench.detectors.token_score import learn_score

        allowed = self._allowed(images)
        tokens, sides, told = [], [], []
        for batch in images:
            taken = []
            for source in batch.sources:
                allowed[source] = allowed.get(source, 0) - 1
                taken.append(allowed[source] >= 0)
            if any(taken):
                chosen = torch.tensor(taken, device=batch.own.device)
                tokens.append(self._tokens(batch.evidence)[chosen])
                sides.append(batch.own[chosen])
                told += [name for name, keep in zip(_told(batch.evidence), taken, strict=True) if keep]
                target = batch.evidence.target
        every = torch.cat(tokens)
        found = [
            self._of(target, some, told[start : start + PASS])
            for start, some in zip(range(0, len(every), PASS), every.split(PASS), strict=True)
        ]
        conditional = torch.cat([one.conditional for one in found])
        unconditional = torch.cat([one.unconditional for one in found])
        lengths = target.generator.scales(every.shape[1])
        return learn_score(conditional, unconditional, torch.cat(sides), lengths, self.epochs)

    def _allowed(self, images: Iterable[FitBatch]) -> dict[str, int]:
        """How many images of each source are learned from: all own ones, and as many others, evenly over sources."""
        counts: Counter[str] = Counter()
        own, others = set(), set()
        for batch in images:
            counts.update(batch.sources)
            for source, is_own, real in zip(batch.sources, batch.own.tolist(), batch.real.tolist(), strict=True):
                if is_own:
                    own.add(source)
                elif real or self.against == "all":
                    others.add(source)
        if not own or not others:
            raise UserError("there are images of one side only to learn from")
        members = sum(counts[source] for source in own)
        share = -(-members // len(others))
        return {source: counts[source] for source in own} | dict.fromkeys(others, share)

    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        from iarbench.detectors.token_score import restored

        name = f"{self.name}/log-probabilities/{self.tokens}/{self.conditions}"
        told = _told(evidence)
        found = evidence.signal(name, lambda: self._of(evidence.target, self._tokens(evidence), told), of_learnt=False)
        score = restored(evidence.learnt, evidence.target.generator.scales(found.conditional.shape[1]))
        d = found.conditional - found.unconditional
        return {
            self.name: score(found.conditional, found.unconditional),
            "log-ratio": d.mean(1),
            "log-probability": found.conditional.mean(1),
            "icas": icas(d),
        }

    def _tokens(self, evidence: Evidence) -> Tensor:
        searched = self.tokens == "nearest" and searches(evidence)
        return (evidence.searched(SOLVER) if searched else evidence.quantized).tokens

    def _of(self, target: Target, tokens: Tensor, told: Sequence[str]) -> LogProbabilities:
        """Of tokens (B, L); ``told``: what the images' own generators were asked for, "" for nothing known."""
        import torch

        known = variants.get(target.name).every_condition
        if not known:
            raise UserError(f"{target.name} has no list of prompts to average over: give it `classes`")
        with torch.no_grad():
            return averaged(target.generator, tokens, known, self.conditions or len(known))


class LikelihoodOracle(Likelihood):
    """PRADA's learned score, told the class or prompt that an image's own generator was asked for.

    It is averaged over where none is known, as for photographs, and where the target has no class of that name. So its
    scores compare images of generators with each other; against photographs it profits from what it is told of the one
    side alone.
    """

    name: ClassVar[str] = "likelihood-oracle"
    version: ClassVar[int] = 2
    reads: ClassVar[frozenset[str]] = frozenset({"transformer", "condition"})
    seconds_per_image: ClassVar[float | None] = 0.14
    mib_per_image: ClassVar[float | None] = 3.1

    def _of(self, target: Target, tokens: Tensor, told: Sequence[str]) -> LogProbabilities:
        import torch

        unknown = super()._of(target, tokens, told)
        conditions = [_condition(variants.get(target.name), name) for name in told]
        any_one = next((one for one in conditions if one is not None), None)
        if any_one is None:
            return unknown
        # All images go through, known or not: the shape of a batch decides how a processor rounds.
        every = _as_given([any_one if one is None else one for one in conditions], tokens)
        with torch.no_grad():
            conditional = target.generator.log_probabilities(tokens, every).float()
        is_known = torch.tensor([one is not None for one in conditions], device=tokens.device)[:, None]
        return LogProbabilities(torch.where(is_known, conditional, unknown.conditional), unknown.unconditional)


def _told(evidence: Evidence) -> tuple[str, ...]:
    return evidence.conditions or ("",) * len(evidence.images)


def _condition(variant: Variant, name: str) -> int | str | None:
    """What the target is asked with for this class name or prompt; None where it has none such."""
    if variant.conditions == "text":
        return name or None
    if variant.classes is None:
        return int(name) if name.isdecimal() and int(name) < variant.num_classes else None
    return variant.classes.index(name) if name in variant.classes else None


def averaged(generator: Generator, tokens: Tensor, known: Sequence[int] | Sequence[str], kept: int) -> LogProbabilities:
    """Log-probabilities of tokens int64 (B, L) with the condition averaged over the ``kept`` likeliest of ``known``."""
    import torch

    from iarbench.nn.likelihood import of_mixture

    likeliest = _likeliest(generator, tokens, known, kept)  # (B, K)
    every = [generator.log_probabilities(tokens, _conditions(known, places, tokens)) for places in likeliest.unbind(1)]
    conditional = of_mixture(torch.stack(every, dim=1)).float()
    if not generator.drops_condition:
        return LogProbabilities(conditional, torch.zeros_like(conditional))
    first = _conditions(known, likeliest[:, 0], tokens)
    return LogProbabilities(conditional, generator.log_probabilities(tokens, first, dropped=True).float())


def _likeliest(generator: Generator, tokens: Tensor, known: Sequence[Any], kept: int) -> Tensor:
    """Places int64 (B, K) in ``known`` of the conditions under which the beginning of each image is likeliest."""
    import torch

    count, length = tokens.shape
    if kept >= len(known):
        return torch.arange(len(known), device=tokens.device).expand(count, -1)
    beginning = tokens[:, : sum(generator.scales(length)[:-1]) or max(1, length // 4)]
    likelihoods = []
    for place in range(len(known)):
        places = torch.full((count,), place, device=tokens.device)
        likelihoods.append(generator.log_probabilities(beginning, _conditions(known, places, tokens)).sum(1))
    return torch.stack(likelihoods, dim=1).topk(kept, dim=1).indices


def _conditions(known: Sequence[Any], places: Tensor, tokens: Tensor) -> Any:
    """The conditions at these places (B,): class numbers int64 (B,), or a list of prompts."""
    return _as_given([known[place] for place in places.tolist()], tokens)


def _as_given(conditions: list[Any], tokens: Tensor) -> Any:
    """Conditions as a generator takes them: class numbers as a tensor, prompts as they are."""
    import torch

    return conditions if isinstance(conditions[0], str) else torch.tensor(conditions, device=tokens.device)


def icas(d: Tensor) -> Tensor:
    """Mean (B,) over tokens of d / (1.75 + exp(1.3 d)), d (B, L) in nats."""
    return (d / (1.75 + (1.3 * d).exp())).mean(1)
