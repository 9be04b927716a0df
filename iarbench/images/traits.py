"""Properties of a picture that need no model: traces of how it was stored and how smooth it is.

Each takes the grey levels (H, W) of one image, float32 in [0, 255] (Pillow's mode L), and returns a number from 0
up (blockiness: any).
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.float32]


def grey_of(image: Image.Image) -> Grey:
    """Grey levels (H, W) of an image of any mode."""
    return np.asarray(image.convert("L"), dtype=np.float32)


def blockiness(grey: Grey) -> float:
    """Mean absolute step of grey level across the edges of the 8x8 grid minus that elsewhere: a trace of JPEG."""
    across = [np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis) for axis in (0, 1)]
    edges = np.concatenate([steps[7::8] for steps in across])
    inside = np.concatenate([np.delete(steps, np.s_[7::8]) for steps in across])
    return float(edges.mean() - inside.mean()) if len(edges) and len(inside) else 0.0


def high_frequency(grey: Grey) -> float:
    """Energy per pixel, in squared grey levels, at frequencies above half of the highest one along either axis.

    The spectrum is NumPy's two-dimensional FFT without a window; in all, the energies are the variance of the image.
    """
    spectrum = np.abs(np.fft.fft2(grey.astype(np.float64))) ** 2
    rows, columns = (np.abs(np.fft.fftfreq(size)) > 0.25 for size in grey.shape)
    return float(spectrum[rows[:, None] | columns[None, :]].sum() / grey.size**2)


def sharpness(grey: Grey) -> float:
    """Variance of the Laplacian (4 neighbours, inner pixels), in squared grey levels: a usual measure of focus."""
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var((around - 4 * inner).astype(np.float64)))


def packed_size(pixels: npt.NDArray[np.uint8]) -> float:
    """Bytes that pixels (H, W, 3) take as a lossless file would store them: differences to the left, then deflate."""
    steps = np.diff(pixels, axis=1, prepend=np.zeros_like(pixels[:, :1]))
    return float(len(zlib.compress(np.ascontiguousarray(steps).tobytes(), 6)))
