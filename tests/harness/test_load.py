from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iarbench.attack import attack_image, parse
from iarbench.errors import UserError
from iarbench.harness.load import Slab, prepare, prepared, slabs
from iarbench.images.decode import encode
from iarbench.images.image_set import ImageSet
from iarbench.images.preparation import Preparation
from iarbench.images.record import ImageRecord
from iarbench.testing import toy_images


@pytest.fixture
def images(toys) -> ImageSet:
    return ImageSet.open(toys.images)


def all_ids(images: ImageSet) -> tuple[str, ...]:
    return tuple(images.index()["image_id"])


def test_slabs_hold_every_image_once_in_order_and_little_memory() -> None:
    ids = tuple(map(str, range(150)))
    assert [len(slab.image_ids) for slab in slabs(ids, "none", 64, Preparation())] == [64, 64, 22]
    large = slabs(ids, "none", 1024, Preparation())
    assert [len(slab.image_ids) for slab in large] == [10] * 15
    assert sum((slab.image_ids for slab in large), ()) == ids


def test_pixels_are_those_of_the_attacked_images(images: ImageSet) -> None:
    ids = all_ids(images)[::20]
    pixels = prepare(images, Slab(ids, "noise0.05", 16, Preparation()))
    assert pixels.shape == (8, 16, 16, 3)
    for image_id, found in zip(ids, pixels, strict=True):
        (record,) = images.read([image_id])
        assert np.array_equal(found, np.asarray(attack_image(parse("noise0.05"), record.pil(), image_id)))
    assert not np.array_equal(pixels, prepare(images, Slab(ids, "none", 16, Preparation())))


def test_workers_and_slab_sizes_change_no_pixel(images: ImageSet) -> None:
    ids = all_ids(images)
    here = np.concatenate(list(prepared(images, slabs(ids, "noise0.05", 16, Preparation()), 0)))
    singles = [Slab((image_id,), "noise0.05", 16, Preparation()) for image_id in ids]
    there = np.concatenate(list(prepared(images, singles, 2)))
    assert len(here) == 150
    assert here.tobytes() == there.tobytes()


def test_workers_are_only_a_little_ahead(images: ImageSet) -> None:
    taken = []

    def work():
        for image_id in all_ids(images):
            taken.append(image_id)
            yield Slab((image_id,), "none", 16, Preparation())

    stream = prepared(images, work(), 1)
    for _ in range(3):
        next(stream)
    assert len(taken) <= 3 + 4
    stream.close()


def odd_set(folder: Path) -> ImageSet:
    pixels = toy_images(1, 5, None, image_size=32)[0][:, :20]
    record = ImageRecord.make(encode(Image.fromarray(pixels), "png"), image_id="odd", source="noise")
    return ImageSet.write([record], folder)


@pytest.mark.parametrize("workers", [0, 1])
def test_another_size_is_an_error_where_sizes_are_exact(tmp_path: Path, workers: int) -> None:
    with pytest.raises(UserError, match=r"image odd is 20x32, the target needs 16x16.*--size 16.*resize-crop"):
        list(prepared(odd_set(tmp_path / "odd"), [Slab(("odd",), "none", 16, Preparation())], workers))


def test_another_size_is_resized_and_cropped_where_the_task_says_so(tmp_path: Path) -> None:
    assert prepare(odd_set(tmp_path / "odd"), Slab(("odd",), "none", 16, Preparation("resize-crop"))).shape == (
        1,
        16,
        16,
        3,
    )
