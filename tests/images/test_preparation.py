"""What a task does to both sides: geometry first, then the container."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from iarbench.attack import attack_image, parse
from iarbench.errors import UserError
from iarbench.images.decode import encode
from iarbench.images.preparation import Preparation
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord


def record(width: int, height: int) -> ImageRecord:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return ImageRecord.make(encode(Image.fromarray(pixels), "png"), image_id="a", source="s")


def test_names_of_todays_tasks_stay_as_they_are() -> None:
    # They stand in the keys of stored scores.
    assert Preparation().name == "exact"
    assert Preparation("resize-crop").name == "resize-crop"
    assert Preparation("squash", "jpeg96").name == "squash+jpeg96"


def test_geometry_then_container() -> None:
    photograph = record(40, 30)
    squashed = photograph.pil().resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(Preparation("squash").image(photograph, 16), squashed)
    assert np.array_equal(Preparation("squash", "png").image(photograph, 16), squashed)
    attacked = attack_image(parse("jpeg96"), squashed, "a")
    assert np.array_equal(Preparation("squash", "jpeg96").image(photograph, 16), attacked)
    cropped = Preprocess(16).image(photograph.pil())
    assert np.array_equal(Preparation("resize-crop", "webp").image(photograph, 16), cropped)


def test_exact_refuses_another_size_with_any_container() -> None:
    for container in ("stored", "png", "jpeg96"):
        with pytest.raises(UserError, match="image a is 40x30, the target needs 16x16"):
            Preparation(container=container).image(record(40, 30), 16)  # type: ignore[arg-type]
    assert Preparation(container="jpeg96").image(record(16, 16), 16).size == (16, 16)


def test_the_file_that_is_compared_is_the_treated_one() -> None:
    photograph = record(40, 30)
    assert Preparation("squash").record(photograph, 16) is photograph
    treated = Preparation("squash", "jpeg96").record(photograph, 16)
    assert (treated.format, treated.width, treated.height, treated.treatment) == ("JPEG", 16, 16, "squash16-jpeg96")
