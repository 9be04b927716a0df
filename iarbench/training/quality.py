"""What a generator's card says about its tokenizer: reconstruction error and use of the codebook."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from iarbench.tokenizer import Tokenizer


@torch.inference_mode()
def tokenizer_quality(tokenizer: Tokenizer, pixels: Tensor) -> dict[str, float]:
    """PSNR in dB over uint8 pixels (N, 3, S, S) with and without quantisation, codes used and their perplexity.

    The mean squared error is averaged over images before it becomes decibels.
    """
    errors, plain, tokens = [], [], []
    for batch in pixels.split(100):
        images = batch.float() / 255
        f = tokenizer.encode(images)
        quantized = tokenizer.quantize(f)
        errors.append((tokenizer.decode(quantized.features) - images).square().flatten(1).mean(1))
        plain.append((tokenizer.decode(f) - images).square().flatten(1).mean(1))
        tokens.append(quantized.tokens.flatten())
    counts = torch.bincount(torch.cat(tokens)).double()
    share = counts[counts > 0] / counts.sum()
    return {
        "psnr_quantised": round(-10 * math.log10(torch.cat(errors).mean().item()), 2),
        "psnr_continuous": round(-10 * math.log10(torch.cat(plain).mean().item()), 2),
        "codes_used": len(share),
        "code_perplexity": round(math.exp(-(share * share.log()).sum().item()), 1),
    }
