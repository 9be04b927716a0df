"""Evidence: one batch of images seen through one target; signals that detectors share are computed once.

Symbols (arXiv 2606.28386): ``f`` the encoder's continuous features, ``f_Z`` the nearest codebook features, ``x_hat``
the image decoded from ``f`` without quantisation, ``x_hat_hat`` the same done to ``x_hat``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from iarbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from iarbench.device import Precision
    from iarbench.generator import Generator
    from iarbench.tokenizer import Quantized, Tokenizer

T = TypeVar("T")

Conditions = tuple[str, ...] | None
"""What the generators of a batch of images were asked for, see `Evidence`."""

NO_ENCODER = "none"
"""The encoder of a score that rests on the image alone."""


class NotRead:
    """Stands for a part of a target that the detector does not declare to read: a score's identity lacks its weights.

    Raises:
        UserError: whatever is asked of it.
    """

    def __init__(self, part: str) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copying and pickling ask for such
            raise AttributeError(name)
        raise UserError(f"it asks for the target's {self._part}, which it does not declare; add it to `reads`")


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A model under test, as far as a detector reads it: its tokenizer with one of its encoders, and its transformer
    only for detectors that read it.
    """

    name: str
    family: str
    encoder: str
    """``original``, ``inverse`` for one fine-tuned to invert the decoder, or `NO_ENCODER` where none is read."""
    tokenizer: Tokenizer
    weights_hash: str
    """SHA-256 identity of the weights that scores depend on."""
    image_size: int
    """Side of its images in pixels."""
    generator: Generator = field(default_factory=lambda: cast("Generator", NotRead("transformer")))
    """The whole model with its transformer; it holds the same tokenizer."""


class Evidence:
    """One batch of images seen through one target: every signal is computed when first asked for, and once.

    ``images``: float32 (B, 3, H, W) in [0, 1], on the target's device. ``precision``: of encoder and decoder;
    the quantiser and all that detectors compute stay in float32. ``learnt``: what `Detector.fit` returned, {} for
    detectors that learn nothing. ``seconds``: signal name -> what it cost, without the signals it was made from.
    ``conditions``: for a detector that reads the ``condition``, the class name or prompt that each image's own
    generator was asked for, "" where its set does not say; None: nothing is known.
    """

    def __init__(
        self,
        target: Target,
        images: Tensor,
        *,
        precision: Precision = "float32",
        learnt: Mapping[str, Tensor] | None = None,
        conditions: Conditions = None,
    ) -> None:
        self.target, self.images, self.precision, self.learnt = target, images, precision, learnt or {}
        self.conditions = conditions
        self.seconds: dict[str, float] = {}
        self._values: dict[str, Any] = {}
        self._needs: dict[str, frozenset[str]] = {}
        self._reading: list[set[str]] = []  # what the computations in progress have asked for, innermost last

    def seen_by(
        self, target: Target, learnt: Mapping[str, Tensor] | None = None, conditions: Conditions = None
    ) -> Evidence:
        """The same batch as evidence of a target with the same tokenizer: every signal is computed once for both.

        ``learnt``: what the other's detector has learnt; its mapping must outlive the evidence. ``conditions``: those
        of its images, where that detector reads them.
        """
        other = Evidence(target, self.images, precision=self.precision, learnt=learnt, conditions=conditions)
        other.seconds, other._values, other._needs = self.seconds, self._values, self._needs
        return other

    def of(self, images: Tensor) -> Evidence:
        """Evidence of other images (B, 3, H, W), each made from the one in its place; it shares no signals."""
        return type(self)(self.target, images, precision=self.precision, learnt=self.learnt, conditions=self.conditions)

    @property
    def f(self) -> Tensor:
        """Continuous features (B, C, h, w) of the images: one encoder pass."""
        return self._memo("f", lambda: self.encode(self.images))

    @property
    def quantized(self) -> Quantized:
        """Tokens (B, L) and codebook features ``f_Z`` (B, C, h, w), nearest to ``f``."""
        return self._memo("quantized", lambda: self.target.tokenizer.quantize(self.f))

    def searched(self, solver: str) -> Quantized:
        """Tokens and codebook features that a token search finds nearer to ``f`` than ``quantized`` is."""
        return self._memo(f"searched/{solver}", lambda: self.target.tokenizer.search(self.f, solver))

    @property
    def x_hat(self) -> Tensor:
        """The images (B, 3, H, W) decoded from ``f``, unquantised, in [0, 1]."""
        return self._memo("x_hat", lambda: self.decode(self.f))

    @property
    def x_hat_hat(self) -> Tensor:
        """``x_hat`` encoded and decoded once more, unquantised, in [0, 1]."""
        return self._memo("x_hat_hat", lambda: self.decode(self.encode(self.x_hat)))

    @property
    def x_hat_quant(self) -> Tensor:
        """The images (B, 3, H, W) decoded from ``f_Z``, in [0, 1]."""
        return self._memo("x_hat_quant", lambda: self.decode(self.quantized.features))

    def encode(self, images: Tensor) -> Tensor:
        """One encoder pass: images (B, 3, H, W) in [0, 1] to features float32 (B, C, h, w); not memoised."""
        with self._autocast():
            return self.target.tokenizer.encode(images).float()

    def decode(self, features: Tensor) -> Tensor:
        """One decoder pass: features (B, C, h, w) to images float32 (B, 3, H, W) in [0, 1]; not memoised."""
        with self._autocast():
            return self.target.tokenizer.decode(features).float()

    def decode_unclamped(self, features: Tensor) -> Tensor:
        """As :meth:`decode`, but the images lie around [0, 1] and are not clamped to it."""
        with self._autocast():
            return self.target.tokenizer.decode_unclamped(features).float()

    def signal(self, name: str, compute: Callable[[], T], *, of_learnt: bool = True) -> T:
        """The memoised result of ``compute`` (run without gradients), for signals that several detectors share.

        Targets with one tokenizer share it as well, unless the detector reads the transformer, or has learnt something
        else for the other target: it may rest on that. ``of_learnt``: False says that it does not rest on ``learnt``.
        """
        alone = "" if isinstance(self.target.generator, NotRead) else f"{self.target.name}/"
        # Columns with one fit hold one mapping, which lives as long as the run.
        learnt = f"/learnt-{id(self.learnt)}" if self.learnt and of_learnt else ""
        return self._memo(f"{alone}{name}{learnt}", compute)

    def _memo(self, name: str, compute: Callable[[], T]) -> T:
        import torch

        if name not in self._values:
            with torch.no_grad():
                self._values[name], self.seconds[name], self._needs[name] = self._measured(compute)
        if self._reading:
            self._reading[-1] |= {name} | self._needs[name]
        return self._values[name]

    def timed(self, compute: Callable[[], T]) -> tuple[T, float]:
        """What ``compute`` gives, and the seconds it would have taken alone, whoever paid for the signals it read."""
        value, seconds, needs = self._measured(compute)
        return value, seconds + sum(self.seconds[name] for name in needs)

    def _measured(self, compute: Callable[[], T]) -> tuple[T, float, frozenset[str]]:
        """Value, own seconds (without signals computed meanwhile), and the signals it rests on."""
        paid = sum(self.seconds.values())
        self._reading.append(set())
        try:
            start = self._now()
            value = compute()
            elapsed = self._now() - start
        finally:
            needs = frozenset(self._reading.pop())
        return value, max(0.0, elapsed - (sum(self.seconds.values()) - paid)), needs

    def _now(self) -> float:
        if self.images.is_cuda:
            import torch

            torch.cuda.synchronize(self.images.device)
        return time.perf_counter()

    def _autocast(self) -> Any:
        import torch

        return torch.autocast(self.images.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
