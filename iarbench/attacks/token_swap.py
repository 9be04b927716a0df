"""Changing tokens: to near codes of a codebook, or bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.nn.binary_quantize import BinaryQuantizer
from iarbench.nn.quantize import MultiScaleQuantizer, VectorQuantizer

if TYPE_CHECKING:
    from numpy.random import Generator

    from iarbench.tokenizer import Tokenizer


def swapped(
    tokenizer: Tokenizer, tokens: Tensor, share: float, scale: int, near: int, rng: Generator, owner: str
) -> Tensor:
    """Tokens int64 (1, L) with a share of them changed, as `iarbench.attacks.model.Tokens` describes it.

    Raises:
        UserError: the tokenizer has no such scale, or a quantiser of another kind; `owner` is what the message names.
    """
    quantizer = getattr(tokenizer, "quantizer", None)
    if isinstance(quantizer, BinaryQuantizer):
        scales = quantizer.split(tokens)
        chosen = rng.random((*tokens.shape, quantizer.dim)) < share
        flips = chosen & _of_scale([part.shape[1] for part in scales], scale, owner)[:, None]
        return quantizer.pack(quantizer.unpack(tokens) ^ torch.from_numpy(flips))
    if isinstance(quantizer, MultiScaleQuantizer):
        lengths, codes = [part.shape[1] for part in quantizer.split(tokens)], quantizer.embedding.weight
    elif isinstance(quantizer, VectorQuantizer):
        lengths, codes = [tokens.shape[1]], quantizer.codes
    else:
        raise UserError(f"{owner}: the tokens of this generator's quantiser cannot be changed")
    replaced = torch.from_numpy((rng.random(tokens.shape) < share) & _of_scale(lengths, scale, owner))
    picks = torch.from_numpy(rng.integers(min(near, len(codes) - 1), size=tokens.shape))
    return torch.where(replaced, _near_codes(tokens[0], codes, picks[0])[None], tokens)


def _of_scale(lengths: list[int], scale: int, owner: str) -> np.ndarray:
    """Which tokens (L,) belong to a scale, 1 being the first; 0: all of them."""
    if scale > len(lengths):
        raise UserError(f"{owner}: the tokenizer has {len(lengths)} scales, not {scale}")
    places = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    return places == scale if scale else np.ones(len(places), dtype=bool)


def _near_codes(tokens: Tensor, codes: Tensor, picks: Tensor) -> Tensor:
    """For each token (L,) the other code that is `picks` (L,) places from the nearest one; `codes`: (V, C)."""
    distances = torch.cdist(codes[tokens].double(), codes.double())  # exact enough that no rounding reorders them
    distances[torch.arange(len(tokens)), tokens] = torch.inf
    order = distances.argsort(dim=1, stable=True)
    return order.gather(1, picks[:, None])[:, 0]
