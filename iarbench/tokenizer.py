"""The image tokenizer of an IAR: encoder, quantiser and decoder behind one interface in [0, 1].

Symbols follow Data Provenance for Image Auto-Regressive Generation (arXiv 2606.28386): ``f`` is the encoder's
continuous feature map, ``f_Z`` its nearest point made of codebook entries, ``D`` the decoder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Quantized:
    """``tokens`` int64 (B, L) and the codebook features they stand for, float32 (B, C, h, w)."""

    tokens: Tensor
    features: Tensor


class Tokenizer(nn.Module, ABC):
    """What a family writes: ``encode_native``, ``decode_native``, ``quantize`` and ``lookup``.

    ``image_size`` is the side of the square images in pixels. ``native_range`` is the pixel range the released
    weights were trained on; the public methods hide it.
    """

    image_size: int
    native_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    capabilities: ClassVar[frozenset[str]] = frozenset({"quantize", "decode", "grad"})
    #: which score of `quantloss` tells its images best, as measured on calibration images: "greedy", minus the error
    #: of the family's own quantiser; "searched", minus that after a search; "ratio", minus the second over the first
    main_score: ClassVar[Literal["greedy", "searched", "ratio"]] = "greedy"
    #: submodules that inverse fine-tuning trains (arXiv 2606.28386, appendix C); the rest stays frozen
    inverse_modules: ClassVar[tuple[str, ...]] = ("encoder",)

    def __init__(self, config: Mapping[str, Any], image_size: int) -> None:
        super().__init__()
        self.image_size = image_size

    def encode(self, images: Tensor) -> Tensor:
        """Images float32 (B, 3, H, W) in [0, 1] to features (B, C, h, w)."""
        return self.encode_native(self.to_native(images))

    def to_native(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] brought to ``native_range``."""
        low, high = self.native_range
        return images * (high - low) + low

    def from_native(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in ``native_range`` brought to [0, 1]."""
        low, high = self.native_range
        return (images - low) / (high - low)

    def decode_clamped(self, features: Tensor) -> Tensor:
        """Features (B, C, h, w) to images (B, 3, H, W), clamped to ``native_range``."""
        return self.decode_native(features).clamp(*self.native_range)

    def decode(self, features: Tensor) -> Tensor:
        """Features (B, C, h, w) to images float32 (B, 3, H, W), clamped to [0, 1]."""
        return self.from_native(self.decode_clamped(features))

    def decode_unclamped(self, features: Tensor) -> Tensor:
        """Features (B, C, h, w) to images float32 (B, 3, H, W) around [0, 1], not clamped."""
        return self.from_native(self.decode_native(features))

    def decoding_modules(self) -> nn.ModuleList:
        """What turns codebook features into an image."""
        return nn.ModuleList(m for name, m in self.named_children() if name in ("decoder", "post_quant_conv"))

    @abstractmethod
    def encode_native(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in ``native_range`` to features (B, C, h, w)."""

    @abstractmethod
    def decode_native(self, features: Tensor) -> Tensor:
        """Features (B, C, h, w) to images (B, 3, H, W) around ``native_range``, not clamped."""

    @abstractmethod
    def quantize(self, features: Tensor) -> Quantized:
        """The nearest codebook features of ``features`` (B, C, h, w), by the family's own quantiser."""

    def search(self, features: Tensor, solver: str) -> Quantized:
        """Codebook features no farther from ``features`` (B, C, h, w) than those of :meth:`quantize`.

        For families with the capability "search", whose own quantiser is greedy; ``solver`` is one of
        :data:`iarbench.token_search.solvers.SOLVERS`.
        """
        raise NotImplementedError(f"{type(self).__name__} has an exact quantiser and nothing to search")

    @abstractmethod
    def lookup(self, tokens: Tensor) -> Tensor:
        """Codebook features float32 (B, C, h, w) of tokens int64 (B, L): ``f_Z`` of a stored image."""
