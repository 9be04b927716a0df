"""The benchmark's sampling without a cache gives the tokens of sampling with one: what it times is the same work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from iarbench.models import variants
from iarbench.nn.sampling import Streams

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from uncached import forget

from iarbench.models.loading import load_generator

BATCH = 2


@pytest.mark.parametrize("name", [name for name in variants.names() if "mini" in name])
@torch.inference_mode()
def test_without_a_cache_the_tokens_are_the_same(name: str) -> None:
    variant = variants.get(name)
    generator = load_generator(name)
    given = [*variant.classes[:BATCH]] if variant.conditions == "text" else torch.arange(BATCH)
    cached = generator.sample_tokens(given, Streams(range(BATCH)), **generator.sampling)
    forget(generator.transformer)
    assert torch.equal(generator.sample_tokens(given, Streams(range(BATCH)), **generator.sampling), cached)
