"""Each attack against an independent statement of what it does to pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from iarbench.attack import attack_image, parse
from iarbench.attacks import blur


def attack(name: str, image: Image.Image, image_id: str = "x") -> np.ndarray:
    return np.asarray(attack_image(parse(name), image, image_id)).astype(np.float64)


def flat(*colour: int, size: int = 64) -> Image.Image:
    return Image.new("RGB", (size, size), colour)


def noisy(size: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def test_none() -> None:
    image = noisy()
    assert attack_image(parse("none"), image, "x") is image


def test_jpeg_is_pillows() -> None:
    buffer = io.BytesIO()
    noisy().save(buffer, "JPEG", quality=50)
    assert (attack("jpeg50", noisy()) == np.asarray(Image.open(buffer))).all()
    error = [np.abs(attack(f"jpeg{quality}", noisy()) - np.asarray(noisy())).mean() for quality in (95, 60, 10)]
    assert error == sorted(error)
    # Channels in the wrong order would weight red like blue and show on a plain colour.
    assert np.abs(attack("jpeg60", flat(200, 30, 90)) - [200, 30, 90]).max() <= 2


@pytest.mark.parametrize("std", [0.01, 0.05, 0.2])
def test_noise_has_the_deviation_of_its_name(std: float) -> None:
    difference = attack(f"noise{std}", flat(128, 128, 128, size=200)) - 128
    expected = np.sqrt((255 * std) ** 2 + 1 / 12) if std < 0.1 else 255 * std  # 1/12: rounding to whole levels
    assert difference.std() == pytest.approx(expected, rel=0.02)
    assert abs(difference.mean()) < 4 * expected / np.sqrt(120_000)
    assert np.abs(np.corrcoef(difference.reshape(-1, 3).T) - np.eye(3)).max() < 0.02


def test_noise_is_clipped_and_does_not_wrap() -> None:
    for level in (0, 255):
        change = np.abs(attack("noise0.2", flat(level, level, level)) - level)
        assert (change == 0).mean() == pytest.approx(0.5, abs=0.02)  # half of the noise points outwards
        assert (change > 4 * 51).mean() < 0.0005


def gaussian(pixels: np.ndarray, sigma: float, kernel: int) -> np.ndarray:
    half = kernel // 2
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(half, half) if axis == a else (0, 0) for a in range(3)]
        padded = np.pad(pixels, padding, mode="reflect")
        pixels = sum(w * np.take(padded, range(i, i + pixels.shape[axis]), axis) for i, w in enumerate(weights))
    return pixels


def test_blur_is_a_gaussian_whose_deviation_varies_from_0_1_to_2() -> None:
    pixels = np.asarray(noisy()).astype(np.float64)
    grid = np.linspace(0.1, 2, 191)
    references = np.stack([gaussian(pixels, sigma, 9) for sigma in grid])
    found = []
    for number in range(40):
        distance = np.abs(references - attack("blur9", noisy(), str(number))).max(axis=(1, 2, 3))
        assert distance.min() < 3.0, "a step of 0.01 in the deviation moves a pixel by about 2 levels"
        found.append(grid[distance.argmin()])
    assert min(found) < 0.3
    assert max(found) > 1.8
    assert np.mean(found) == pytest.approx(1.05, abs=0.25)


def test_a_wider_kernel_blurs_further() -> None:
    dot = flat(0, 0, 0, size=33)
    dot.putpixel((16, 16), (255, 255, 255))
    for kernel in (3, 9):
        reach = max(np.abs(np.argwhere(attack(f"blur{kernel}", dot, str(n))[:, :, 0]) - 16).max() for n in range(20))
        assert reach <= kernel // 2


def test_an_argument_that_albumentations_does_not_know_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import albumentations

    monkeypatch.setattr(blur, "_local", type("Fresh", (), {"__dict__": {}})())
    real = albumentations.GaussianBlur
    monkeypatch.setattr(albumentations, "GaussianBlur", lambda **arguments: real(misspelt=1, **arguments))
    with pytest.raises(UserWarning, match="misspelt"):
        blur._build("GaussianBlur", {"blur_limit": (9, 9), "sigma_limit": (0.1, 2.0)})


def test_brightness_scales_and_clips() -> None:
    assert attack("brightness1.6", flat(100, 10, 200))[0, 0].tolist() == [160, 16, 255]
    assert attack("brightness0", noisy()).max() == 0


def test_contrast_spreads_around_the_mean_luminance() -> None:
    image = flat(100, 100, 100)
    image.paste((140, 140, 140), (0, 0, 64, 32))
    result = attack("contrast2", image)
    assert (result[0, 0, 0], result[63, 0, 0]) == (160, 80)


def test_saturation_moves_away_from_grey() -> None:
    grey = round(0.299 * 120 + 0.587 * 100 + 0.114 * 80)
    expected = [2 * value - grey for value in (120, 100, 80)]
    assert np.abs(attack("saturation2", flat(120, 100, 80))[0, 0] - expected).max() <= 1
    assert (attack("saturation2", flat(90, 90, 90)) == 90).all()


@pytest.mark.parametrize("name", ["brightness1", "contrast1", "saturation1", "resize1", "crop1"])
def test_strength_one_changes_nothing(name: str) -> None:
    assert (attack(name, noisy()) == np.asarray(noisy())).all()


def test_resize_loses_what_the_smaller_size_cannot_hold() -> None:
    checks = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)).convert("RGB")
    assert np.abs(attack("resize0.5", checks) - 127.5).max() <= 8
    small = noisy(33).resize((16, 16), Image.Resampling.BICUBIC)
    expected = small.resize((33, 33), Image.Resampling.BICUBIC)
    assert (attack("resize0.5", noisy(33)) == np.asarray(expected)).all()


def test_crop_keeps_the_centre() -> None:
    image = flat(255, 0, 0, size=50)
    image.paste((0, 0, 255), (5, 5, 45, 45))
    assert (attack("crop0.8", image) == [0, 0, 255]).all()
    left = flat(0, 0, 0, size=64)
    left.paste((255, 255, 255), (0, 0, 32, 64))
    assert attack("crop0.5", left)[:, :, 0].mean() == pytest.approx(127.5, abs=1)
