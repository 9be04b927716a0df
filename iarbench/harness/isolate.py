"""A user's detector at work on one target, where nothing it does reaches anybody else's scores.

It gets images, signals and modules of its own, which are compared with what they were when it is done; random numbers
that start anew with every batch; its prints go to standard error; and every failure is one line that names it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from iarbench.detector import Detector, Scored, apply
from iarbench.device import Precision
from iarbench.errors import UserError
from iarbench.evidence import Conditions, Evidence, NotRead, Target
from iarbench.fit_batch import FitBatch
from iarbench.progress import counted
from iarbench.user_code import neighbours, one_line_errors, own_random_state

T = TypeVar("T")

ROUNDING = 1e-3
"""What two ways to score one image may differ by, as a fraction of the largest score beside it. Rounding alone gives
4e-5 (combined on rar-mini, 32 images together and each alone); a true dependence is as large as scores differ.
"""


class Isolated:
    """One detector on one target. Used by one thread, since it and its modules keep what they like."""

    def __init__(
        self,
        detector: Detector,
        target: Target,
        owner: str,
        folder: Path | None = None,
        learnt: Mapping[str, Tensor] | None = None,
    ) -> None:
        """``owner``: what messages call the detector; ``folder``: where it imports from; ``learnt``: see `Evidence`."""
        self.detector, self.owner, self.folder, self.learnt = detector, owner, folder, learnt or {}
        self.target = with_own_modules(target)
        self._weights = _sums(self.target)
        self._names: list[str] | None = None

    def score(self, images: Tensor, precision: Precision, conditions: Conditions = None) -> Scored:
        """Score a batch of images (B, 3, H, W), which are left as they are; ``conditions``: see `Evidence`.

        Raises:
            UserError: whatever goes wrong in the detector's code; what it returns is not sound; it changes the images
                or signals that it is given, or the names of its scores.
        """
        evidence = self.evidence(images, precision, conditions)
        scored = self.run(evidence)
        evidence.require_unchanged(self.owner)
        return scored

    def run(self, evidence: Evidence) -> Scored:
        """Score evidence of its own; raises as `score`, but for what the detector changes."""
        with one_line_errors(self.owner), neighbours(self.folder), own_random_state():
            scored = apply(self.detector, evidence, self.owner)
        names = list(scored.scores)
        if self._names is not None and names != self._names:
            before, now = ", ".join(self._names), ", ".join(names)
            raise UserError(
                f"{self.owner}: its scores are called {before}, then {now}; return the same names every time"
            )
        self._names = names
        return scored

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        """Let the detector learn: what `Detector.fit` returns, as tensors on the CPU that share no memory.

        Raises:
            UserError: whatever goes wrong in the detector's code, or it returns something else than finite tensors.
        """
        with one_line_errors(self.owner), neighbours(self.folder), own_random_state():
            found = self.detector.fit(images)
        self.require_unchanged_weights()
        expected = "return {name: tensor}, what `evidence.learnt` is to hold"
        if not isinstance(found, dict) or not found:
            raise UserError(f"{self.owner}: fit returned {type(found).__name__} {found!r:.40}; {expected}")
        learnt = {}
        for name, value in found.items():
            tensor = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            if not isinstance(tensor, Tensor) or not isinstance(name, str):
                raise UserError(f"{self.owner}: fit returned a {type(value).__name__} as {name!r}; {expected}")
            if not bool(tensor.isfinite().all()):
                raise UserError(f"{self.owner}: what it learnt as {name!r} holds numbers that are not finite")
            learnt[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        return learnt

    def evidence(self, images: Tensor, precision: Precision, conditions: Conditions = None) -> OwnEvidence:
        """Evidence that is the detector's own."""
        learnt = {name: value.to(images.device, copy=True) for name, value in self.learnt.items()}
        images = images.clone(memory_format=torch.contiguous_format)
        return OwnEvidence(self.target, images, precision=precision, learnt=learnt, conditions=conditions)

    def require_unchanged_weights(self) -> None:
        """Raise UserError when the detector has changed the weights of its target."""
        if not torch.equal(self._weights, _sums(self.target)):
            raise UserError(f"{self.owner}: it changes the target's weights; work on copy.deepcopy of the module")

    def require_same(
        self,
        image: Tensor,
        precision: Precision,
        before: Mapping[str, float],
        scale: float,
        conditions: Conditions = None,
    ) -> None:
        """Score an image (1, 3, H, W) alone and compare with what it got ``before``, among others and maybe earlier.

        ``scale``: the largest absolute score of those it was among; ``conditions``: its own, see `Evidence`.

        Raises:
            UserError: the scores differ by more than rounding.
        """
        for name, (now,) in self.score(image, precision, conditions).scores.items():
            if abs(now - before[name]) > ROUNDING * max(scale, abs(now)):
                raise UserError(
                    f"{self.owner}: score {name!r} of one image is {before[name]:.6g}, and {now:.6g} when it is scored "
                    "alone and later; it must not depend on the rest of the batch, on earlier images or on random "
                    "numbers that differ from image to image"
                )

    def require_scores_of_images_alone(
        self, images: Tensor, precision: Precision, conditions: Conditions = None
    ) -> None:
        """Score a few images together, then each alone from the last to the first; raises as `require_same`."""
        scores = self.score(images, precision, conditions).scores
        scale = max(abs(value) for values in scores.values() for value in values)
        for place in counted(reversed(range(len(images))), "scoring images alone", len(images)):
            before = {name: values[place] for name, values in scores.items()}
            own = slice(place, place + 1)
            self.require_same(images[own], precision, before, scale, conditions and conditions[own])


class OwnEvidence(Evidence):
    """Evidence for one detector alone, which knows what it gave out; all tensors are contiguous, so `.view` works."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._given: dict[str, list[tuple[Tensor, Tensor]]] = {}
        self._give("images", self.images)

    def encode(self, images: Tensor) -> Tensor:
        """As `Evidence.encode`."""
        return super().encode(images).contiguous()

    def decode(self, features: Tensor) -> Tensor:
        """As `Evidence.decode`."""
        return super().decode(features).contiguous()

    def require_unchanged(self, owner: str) -> None:
        """Raise UserError when what was given out has been changed since."""
        for name, pairs in self._given.items():
            if not all(torch.allclose(now, before, rtol=0, atol=0, equal_nan=True) for now, before in pairs):
                raise UserError(f"{owner}: it changes evidence.{name} in place; work on a copy, such as {name}.clone()")

    def _memo(self, name: str, compute: Callable[[], T]) -> T:
        new = name not in self._values
        value = super()._memo(name, compute)
        if new:
            self._give(name, value)
        return value

    def _give(self, name: str, value: object) -> None:
        parts = [getattr(value, field.name) for field in fields(value)] if is_dataclass(value) else [value]
        self._given[name] = [(part, part.clone()) for part in parts if isinstance(part, Tensor)]


def with_own_modules(target: Target) -> Target:
    """The target with modules of its own that share their weights with the other's: hooks and modes stay apart."""
    tokenizer = target.tokenizer
    if not isinstance(tokenizer, nn.Module):
        return target
    own: Any = _own(tokenizer)
    for name in ("encode", "decode"):
        vars(own).pop(name, None)  # a compiled pass belongs to the other's modules
        setattr(own, name, _contiguous(getattr(own, name)))
    if isinstance(target.generator, NotRead):
        return replace(target, tokenizer=own)
    generator = copy.copy(target.generator)
    generator.tokenizer, generator.transformer = own, _own(generator.transformer)
    return replace(target, tokenizer=own, generator=generator)


def _own(module: nn.Module) -> nn.Module:
    """A copy of a module that holds the same weights."""
    shared = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    return copy.deepcopy(module, shared)


def _contiguous(compute: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda given: compute(given).contiguous()


def _sums(target: Target) -> Tensor:
    """The sum of every weight tensor of a target, in float64."""
    transformer = None if isinstance(target.generator, NotRead) else target.generator.transformer
    modules = [module for module in (target.tokenizer, transformer) if isinstance(module, nn.Module)]
    tensors = [tensor for module in modules for tensor in chain(module.parameters(), module.buffers())]
    return torch.tensor([float(tensor.detach().sum(dtype=torch.float64)) for tensor in tensors])
