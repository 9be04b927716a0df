"""What all attacks promise: strength that shows in quality, and an image that decides alone what it becomes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from attacks.strengths import EVERY, MONOTONE, OTHERS, pictures, psnr
from PIL import Image

from iarbench.attack import attack_image, parse
from iarbench.registry import ATTACKS

shown = cache(pictures)


def digest(name: str, number: int) -> str:
    image = attack_image(parse(name), shown()[number], f"image {number}")
    return hashlib.sha256(image.tobytes()).hexdigest()


def test_no_attack_is_left_out() -> None:
    assert {parse(name).prefix for name in EVERY} == set(ATTACKS.builtin())


@pytest.mark.parametrize("names", MONOTONE.values(), ids=MONOTONE)
def test_a_stronger_attack_leaves_less(names: list[str]) -> None:
    images = shown()[:3] if "model" in names[0] else shown()
    quality = []
    for name in names:
        attacked = [attack_image(parse(name), image, str(number)) for number, image in enumerate(images)]
        quality.append(np.median([psnr(*pair) for pair in zip(images, attacked, strict=True)]))
    assert quality == sorted(quality, reverse=True)
    assert len(set(quality)) == len(quality)


def test_where_strength_is_not_monotone_the_docstring_says_so() -> None:
    for name in OTHERS:
        attack = parse(name)
        if any(character.isdigit() for character in name):
            assert "not monotone" in " ".join((type(attack).__doc__ or "").split())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("size", [(17, 33), (1, 1)])
def test_mode_and_size_stay_and_the_input_too(name: str, size: tuple[int, int]) -> None:
    image = shown()[0].resize(size)
    before = image.tobytes()
    attacked = attack_image(parse(name), image, "x")
    assert (attacked.mode, attacked.size) == ("RGB", size)
    assert image.tobytes() == before
    assert parse(parse(name).name) == parse(name)


JOBS = [(name, number) for name in EVERY for number in (0, 3)]


def test_order_and_threads_change_nothing() -> None:
    jobs = JOBS[::2]
    expected = [digest(*job) for job in jobs]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda job: digest(*job), jobs[::-1])) == expected[::-1]


@pytest.mark.long
def test_another_process_changes_nothing() -> None:
    jobs = JOBS
    expected = [digest(*job) for job in jobs]
    code = f"from attacks.test_every_attack import digest\nfor job in {jobs[::-1]!r}: print(digest(*job))"
    output = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=Path(__file__).parents[1])
    assert output.split() == expected[::-1]


def test_random_attacks_differ_from_image_to_image() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for name in (
        "crop:scale=0.7,place=random",
        "erase0.1",
        "text0.1",
        "screenshot1.25",
        "tokens:share=0.3,model=rar-mini",
    ):
        assert len({attack_image(parse(name), image, str(number)).tobytes() for number in range(4)}) > 1
