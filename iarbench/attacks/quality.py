"""How much of an image an attack leaves: PSNR and SSIM against what it was before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def psnr(before: Pixels, after: Pixels) -> float:
    """Peak signal-to-noise ratio in dB of uint8 images (H, W, 3), white being 255; infinite where nothing changed.

    10 log10(255^2 / MSE), the mean square over all pixels and channels.
    """
    error = np.square(before.astype(np.float64) - after).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(before: Pixels, after: Pixels) -> float:
    """Structural similarity of uint8 images (H, W, 3), 1 for the same image, at least -1.

    Wang et al. 2004, *Image Quality Assessment*, Eq. 13: a Gaussian window of 11x11 pixels with a deviation of 1.5,
    C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2; here of each channel by itself, and averaged over channels and over all
    places where the window lies inside the image (over all places with mirrored borders, where a side is below 11).
    """
    x, y = before.astype(np.float64), after.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x, variance_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    index = alike / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    inside = slice(5, -5) if min(index.shape[:2]) >= 11 else slice(None)
    return float(index[inside, inside].mean())


def _blurred(x: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    blurred: NDArray[np.float64] = gaussian_filter(x, 1.5, radius=5, axes=(0, 1))
    return blurred
