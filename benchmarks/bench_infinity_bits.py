"""How many of Infinity's bits its greedy quantiser finds, and how many the token search, as features get noisier.

    python benchmarks/bench_infinity_bits.py [--images N]

Features of new images of infinity-mini: the sums of their tokens under white noise of several mean squares, then what
its inverse encoder reads of the decoded images. ``left``: the mean square between features and the codes found.
"""

from __future__ import annotations

import argparse

import torch
from bench_inverse import pixels
from common import keep, three_digits
from torch import Tensor

from iarbench.detector import mse
from iarbench.models import variants
from iarbench.models.loading import load_generator, load_tokenizer
from iarbench.models.sample_images import make_records
from iarbench.nn.binary_quantize import BinaryQuantizer
from iarbench.token_search import search_bits

TARGET = "infinity-mini"
NOISE = (0.0, 0.004, 0.01, 0.02, 0.04)


def found(quantizer: BinaryQuantizer, features: Tensor, known: Tensor) -> dict[str, float]:
    """Both ways on features (B, C, h, w) of images with these tokens (B, L)."""
    told: dict[str, float] = {"error": three_digits(mse(features, quantizer.lookup(known)).mean())}
    greedy, searched = quantizer(features)[0], search_bits(quantizer, features).tokens
    for name, tokens in (("greedy", greedy), ("searched", searched)):
        same = quantizer.unpack(tokens) == quantizer.unpack(known)
        told[f"{name}_left"] = three_digits(mse(features, quantizer.lookup(tokens)).mean())
        told[f"{name}_bits"] = round(float(same.float().mean()), 4)
    return told


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    args = parser.parse_args()
    variant = variants.get(TARGET)
    made = list(make_records(load_generator(TARGET), TARGET, "unseen", args.images, variant.every_condition))
    known = torch.tensor([record.tokens for record in made])
    reader = load_tokenizer(variant, "inverse")
    quantizer = reader.quantizer
    assert isinstance(quantizer, BinaryQuantizer)
    clean = quantizer.lookup(known)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    results: dict[str, object] = {"target": TARGET, "images": args.images}
    for level in NOISE:
        results[f"noise_{level}"] = found(quantizer, clean + level**0.5 * noise, known)
    results["own_images_inverse"] = found(quantizer, reader.encode(pixels(made)), known)
    keep("infinity_bits", results)


if __name__ == "__main__":
    main()
