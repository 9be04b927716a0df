"""One size and container for all, whatever the shape of the original."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iarbench.errors import UserError
from iarbench.images import preprocess
from iarbench.images.preprocess import Preprocess

BUGS = Path(__file__).parent.parent / "bugs"


def test_a_strip_is_brought_to_size_in_little_memory() -> None:
    with Image.open(io.BytesIO((BUGS / "extreme_sizes" / "strips" / "strip.png").read_bytes())) as opened:
        strip = opened.convert("RGB")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert Preprocess(256).image(strip).size == (256, 256)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("size", [(3, 500), (500, 3), (40, 20), (7, 7), (1, 1)])
def test_both_ways_of_resizing_agree(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    whole = np.asarray(Preprocess(16).image(Image.fromarray(pixels)), dtype=int)
    monkeypatch.setattr(preprocess, "_WHOLE", 0)
    square = np.asarray(Preprocess(16).image(Image.fromarray(pixels)), dtype=int)
    assert abs(whole - square).max() <= 1


def test_a_size_that_no_container_holds_is_refused() -> None:
    with pytest.raises(UserError, match="image size 20000: WEBP holds at most 16383 pixels a side"):
        Preprocess(20000)
    assert Preprocess(20000, "png").size == 20000
