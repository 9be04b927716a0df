"""The same picture in other bytes is found again, another picture is not."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageEnhance

from iarbench.audit import perceptual
from iarbench.audit.perceptual import near_pairs, sketch
from iarbench.images.image_set import ImageSet


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cropped(image: Image.Image, kept: float) -> Image.Image:
    edge = round(image.width * (1 - kept) / 2)
    return image.crop((edge, edge, image.width - edge, image.height - edge)).resize(image.size)


CHANGED: dict[str, tuple[Callable[[Image.Image], Image.Image], float]] = {
    "JPEG 20": (lambda image: jpeg(image, 20), 0.98),
    "half as large": (lambda image: image.resize((32, 32), Image.Resampling.BILINEAR), 0.98),
    "three times as large": (lambda image: image.resize((192, 192), Image.Resampling.BICUBIC), 0.98),
    "grey": (lambda image: image.convert("L").convert("RGB"), 1.0),
    "less contrast": (lambda image: ImageEnhance.Contrast(image).enhance(0.7), 1.0),
    "more colour": (lambda image: ImageEnhance.Color(image).enhance(1.5), 0.98),
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1.0),
    "cropped by a pixel a side": (lambda image: cropped(image, 0.97), 0.9),
}


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """60 photographs and 60 images of a mini."""
    images = ImageSet.open("iarbench-mini")
    ids = images.index().groupby("source")["image_id"].apply(list)
    return [record.pil() for source in ("flickr", "var-mini") for record in images.read(ids[source][::7][:60])]


@pytest.mark.parametrize("name", CHANGED)
def test_changed_copies_are_found_and_nothing_else(pictures: list[Image.Image], name: str) -> None:
    change, least = CHANGED[name]
    sketches = [sketch(image) for image in [*pictures, *map(change, pictures)]]
    found = list(near_pairs(sketches, lambda i, j: True))
    right = [pair for pair in found if pair.second == pair.first + len(pictures)]
    assert len(right) >= least * len(pictures)
    assert len(right) == len(found)
    if name == "mirrored":
        assert all(pair.mirrored for pair in right)


def test_pairs_do_not_depend_on_blocks(pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    sketches = [sketch(image) for image in [*pictures[:20], *(jpeg(image, 30) for image in pictures[:20])]]
    whole = sorted(near_pairs(sketches, lambda i, j: True))
    monkeypatch.setattr(perceptual, "_BLOCK", 7)
    told: list[int] = []
    assert sorted(near_pairs(sketches, lambda i, j: True, told.append)) == whole
    assert sum(told) == 40
    assert list(near_pairs(sketches, lambda i, j: False)) == []
    assert list(near_pairs([], lambda i, j: True)) == []


def test_flat_pictures_have_no_duplicates() -> None:
    flat = [sketch(Image.new("RGB", (64, 64), (level, level, level))) for level in (0, 90, 91, 255)]
    assert list(near_pairs(flat, lambda i, j: True)) == []


def test_the_mirrored_hash_is_that_of_the_mirrored_picture(pictures: list[Image.Image]) -> None:
    for image in pictures[:30]:
        mirrored = sketch(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).hash
        assert (mirrored ^ sketch(image).mirrored).bit_count() <= 2  # resizing rounds


@pytest.mark.long
def test_the_packaged_set_holds_no_picture_twice() -> None:
    records = [record for batch in ImageSet.open("iarbench-mini").iterate() for record in batch]
    sketches = [sketch(record.pil()) for record in records]
    roles = [(record.source, record.split) for record in records]
    assert list(near_pairs(sketches, lambda i, j: roles[i] != roles[j])) == []
