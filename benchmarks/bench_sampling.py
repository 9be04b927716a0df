"""Transformer sampling with the key-value cache against recomputing the whole prefix at every step or scale, and in
float64 against float32.

    python benchmarks/bench_sampling.py [--batch N] [--family FILE.yaml ...]

Every packaged mini is measured, and those described in other YAML files; weights that a description does not name are
random.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import keep, minis
from uncached import forget

from iarbench.generator import Generator
from iarbench.models.loading import build_tokenizer, build_transformer, family_class, load_generator
from iarbench.models.variants import Variant, get, read_family
from iarbench.nn.sampling import Streams

ROUNDS = 3


def generator_of(variant: Variant) -> Generator:
    """The variant's generator, its weights random where there are none."""
    if "transformer" in variant.files:
        return load_generator(variant.name)
    torch.manual_seed(0)
    tokenizer, transformer = build_tokenizer(variant).eval(), build_transformer(variant).eval()
    return family_class(variant)(tokenizer, transformer, variant.sampling["default"])


def conditions(variant: Variant, batch: int) -> Any:
    """The variant's classes in turn, int64 (batch,), or their names where it takes texts."""
    if variant.conditions == "text":
        names = variant.classes or ("",)
        return [names[i % len(names)] for i in range(batch)]
    return torch.arange(batch) % variant.num_classes


def seconds(work: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    """The best of a few."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


@torch.inference_mode()
def measure(variant: Variant, batch: int) -> dict[str, object]:
    """Milliseconds an image both ways, and whether the same tokens come out."""
    generator, given = generator_of(variant), conditions(variant, batch)

    def sample() -> torch.Tensor:
        return generator.sample_tokens(given, Streams(range(batch)), **generator.sampling)

    cached, tokens = seconds(sample)
    wide_generator = generator_of(variant).double()
    wide, exact = seconds(lambda: wide_generator.sample_tokens(given, Streams(range(batch)), **wide_generator.sampling))
    forget(generator.transformer)
    plain, same = seconds(sample)
    return {
        "random_weights": "transformer" not in variant.files,
        "tokens": tokens.shape[1],
        "cached_ms_per_image": round(1000 * cached / batch, 2),
        "uncached_ms_per_image": round(1000 * plain / batch, 2),
        "ratio_uncached_to_cached": round(plain / cached, 2),
        "float64_ms_per_image": round(1000 * wide / batch, 2),
        "ratio_float64_to_float32": round(wide / cached, 2),
        "images_of_other_tokens_in_float64": int((tokens != exact).any(1).sum()),
        "share_of_tokens_equal": round((tokens == same).float().mean().item(), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--family", type=Path, action="append", default=[], help="a YAML as in generators/")
    args = parser.parse_args()
    variants = [get(name) for name in minis()] + [variant for path in args.family for variant in read_family(path)]
    keep("sampling", {"batch": args.batch, **{variant.name: measure(variant, args.batch) for variant in variants}})


if __name__ == "__main__":
    main()
