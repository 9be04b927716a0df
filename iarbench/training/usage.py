"""How often each scale of a multi-scale quantiser uses each code: what a token search knows before it sees an image."""

from __future__ import annotations

import torch
from torch import Tensor

from iarbench.nn.quantize import MultiScaleQuantizer
from iarbench.tokenizer import Tokenizer

#: uses that each scale counts as, so that weights stored in half precision hold them
UNITS = 10_000


@torch.inference_mode()
def count_usage(tokenizer: Tokenizer, pixels: Tensor) -> None:
    """Fill the quantiser's ``usage`` (K, V) from the greedy tokens of uint8 pixels (N, 3, S, S); others have none."""
    quantizer = tokenizer.quantizer
    if not isinstance(quantizer, MultiScaleQuantizer):
        return
    usage = torch.zeros_like(quantizer.usage)
    for batch in pixels.split(100):
        usage += quantizer.count(tokenizer.quantize(tokenizer.encode(batch.to(usage.device).float() / 255)).tokens)
    quantizer.usage.copy_(usage * UNITS / usage.sum(1, keepdim=True))
