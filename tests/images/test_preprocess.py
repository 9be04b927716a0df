"""One size and container for all, whatever the shape of the original."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iarbench.attack import attack_image, parse
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


def test_squash_brings_both_sides_to_size_and_crop_keeps_the_shape_of_things() -> None:
    # Left half black, right half white: squashed both stay whole, cropped a quarter of each side is gone.
    pixels = np.zeros((32, 64, 3), dtype=np.uint8)
    pixels[:, 32:] = 255
    image = Image.fromarray(pixels)
    squashed = np.asarray(Preprocess(32, geometry="squash").image(image))
    assert squashed.shape == (32, 32, 3)
    assert np.array_equal(squashed, np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)))
    assert np.array_equal(np.asarray(Preprocess(32).image(image)), pixels[:, 16:48])
    assert Preprocess(None, "png", "native").image(image) is image


def test_jpeg96_is_the_attack_of_that_name_and_the_others_lose_nothing() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8))
    attacked = attack_image(parse("jpeg96"), image, "any")
    for container, expected in (("jpeg96", attacked), ("png", image), ("webp", image)):
        data = Preprocess(None, container, "native")(image)  # type: ignore[arg-type]
        opened = Image.open(io.BytesIO(data))
        assert opened.format == container.removesuffix("96").upper()
        assert np.array_equal(np.asarray(opened.convert("RGB")), np.asarray(expected))


@pytest.mark.parametrize("name", ["crop256-webp", "squash64-jpeg96", "native-png"])
def test_names_are_read_back(name: str) -> None:
    assert Preprocess.parse(name).name == name


@pytest.mark.parametrize("name", ["crop-webp", "native64-png", "attack jpeg50", "crop64-gif", "crop0-png", ""])
def test_what_is_no_treatment_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        Preprocess.parse(name)
