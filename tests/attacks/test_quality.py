from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from iarbench.attacks.quality import psnr, ssim


def pictures(side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    before = rng.integers(40, 200, (side, side + 3, 3), dtype=np.uint8)
    return before, np.clip(before + rng.normal(0, 20, before.shape), 0, 255).astype(np.uint8)


def test_psnr_by_hand() -> None:
    before = np.zeros((2, 2, 3), dtype=np.uint8)
    after = before.copy()
    after[0, 0] = [3, 0, 0]
    assert psnr(before, after) == pytest.approx(10 * np.log10(255**2 / (9 / 12)))
    assert psnr(before, before) == float("inf")
    assert psnr(before, after) == psnr(after, before)  # no wrapping of 8 bits


def test_ssim_is_the_mean_over_windows() -> None:
    before, after = pictures(20)
    axis = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(axis, axis) / axis.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for channel in range(3):
        for top in range(20 - 10):
            for left in range(23 - 10):
                x, y = (p[top : top + 11, left : left + 11, channel].astype(float) for p in (before, after))
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
                cov = (window * (x - mx) * (y - my)).sum()
                values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert ssim(before, after) == pytest.approx(np.mean(values), abs=1e-9)


@pytest.mark.parametrize("side", [1, 5, 12])
def test_ssim_of_the_same_image_is_1(side: int) -> None:
    before, after = pictures(side)
    assert ssim(before, before) == pytest.approx(1)
    assert ssim(before, after) < 1
