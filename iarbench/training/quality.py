"""What a generator's card says about its tokenizer: reconstruction error and use of the codebook."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from iarbench.tokenizer import Tokenizer


@torch.inference_mode()
def tokenizer_quality(tokenizer: Tokenizer, pixels: Tensor) -> dict[str, float]:
    """PSNR in dB over uint8 pixels (N, 3, S, S) with and without quantisation, codes used and their perplexity, and two
    feature errors in units of the features' variance.

    ``quantisation_error`` is the distance of pictures from the codebook, ``reading_error`` that of decoded pictures, as
    8-bit images, from the codes that they were decoded from. QuantLoss tells own images from others where, after the
    inverse encoder, the second is a small part of the first. Mean squared errors are averaged over images before they
    become decibels.
    """
    errors, plain, tokens, left, read, features = [], [], [], [], [], []
    for batch in pixels.split(100):
        images = batch.float() / 255
        f = tokenizer.encode(images)
        quantized = tokenizer.quantize(f)
        decoded = tokenizer.decode(quantized.features)
        again = tokenizer.encode((decoded * 255).round() / 255)
        features.append(f)
        left.append((f - quantized.features).square().flatten(1).mean(1))
        read.append((again - quantized.features).square().flatten(1).mean(1))
        errors.append((decoded - images).square().flatten(1).mean(1))
        plain.append((tokenizer.decode(f) - images).square().flatten(1).mean(1))
        tokens.append(quantized.tokens.flatten())
    counts = torch.bincount(torch.cat(tokens)).double()
    used = counts[counts > 0] / counts.sum()
    variance = torch.cat(features).var().item()
    return {
        "psnr_quantised": round(-10 * math.log10(torch.cat(errors).mean().item()), 2),
        "psnr_continuous": round(-10 * math.log10(torch.cat(plain).mean().item()), 2),
        "codes_used": len(used),
        "code_perplexity": round(math.exp(-(used * used.log()).sum().item()), 1),
        "quantisation_error": round(torch.cat(left).mean().item() / variance, 4),
        "reading_error": round(torch.cat(read).mean().item() / variance, 4),
    }
