"""A sixth family, as small as one can be: one convolution each way, and a table of logits in place of a transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iarbench.generator import Generator
from iarbench.nn.quantize import VectorQuantizer
from iarbench.nn.sampling import Greedy, Streams
from iarbench.tokenizer import Quantized, Tokenizer


class CellTokenizer(Tokenizer):
    """Square cells of pixels become feature vectors; ``config``: cell, dim, codes."""

    native_range = (0.0, 1.0)

    def __init__(self, config: Mapping[str, Any], image_size: int) -> None:
        super().__init__(config, image_size)
        cell, dim = config["cell"], config["dim"]
        self.grid = image_size // cell
        self.encoder = nn.Conv2d(3, dim, cell, stride=cell)
        self.decoder = nn.ConvTranspose2d(dim, 3, cell, stride=cell)
        self.quantizer = VectorQuantizer(config["codes"], dim)

    def encode_native(self, images: Tensor) -> Tensor:
        return self.encoder(images)

    def decode_native(self, features: Tensor) -> Tensor:
        return self.decoder(features)

    def quantize(self, features: Tensor) -> Quantized:
        return Quantized(*self.quantizer(features))

    def lookup(self, tokens: Tensor) -> Tensor:
        return self.quantizer.lookup(tokens, (self.grid, self.grid))

    def released_key(self, name: str) -> str:
        return name


class Table(nn.Module):
    """Logits (B, positions, codes) by class; ``config``: classes, positions, codes."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(config["classes"], config["positions"], config["codes"]))

    def forward(self, classes: Tensor) -> Tensor:
        return self.logits[classes]

    def released_key(self, name: str) -> str:
        return name


class Sixth(Generator):
    """Every token is drawn alone."""

    tokenizer_class = CellTokenizer
    transformer_class = Table

    def sample_tokens(
        self,
        conditions: Tensor,
        streams: Streams | Greedy,
        temperature: float = 1.0,
        trace: list[Tensor] | None = None,
    ) -> Tensor:
        logits = self.transformer(conditions) / temperature
        if trace is not None:
            trace.append(logits)
        return streams.draw(logits)

    def training_loss(self, tokens: Tensor, classes: Tensor, features: Tensor | None = None) -> Tensor:
        return F.cross_entropy(self.transformer(classes).flatten(0, 1), tokens.flatten())
