"""How many images go through a model at once, and arithmetic that does not depend on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from iarbench.harness.plan import Settings
from iarbench.nn.threads import one_thread


def be_exact() -> None:
    """Full float32 and the same kernels every time.

    TF32, the default for convolutions on recent GPUs, keeps 10 bits: scores would differ from a CPU's in the 3rd digit.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def batch_size(settings: Settings, image_size: int) -> int:
    """The batch size asked for, else one that fits; a released decoder takes about 30 kB a pixel while it works."""
    pixels = 2**17 if settings.device == "cpu" else 2**22
    return settings.batch_size or max(1, min(256, pixels // image_size**2))


def rebatched(slabs: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same images in batches of `size`; the last may be smaller."""
    rest: np.ndarray | None = None
    for slab in slabs:
        rest = slab if rest is None or not len(rest) else np.concatenate([rest, slab])
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if rest is not None and len(rest):
        yield rest


def exact_threads(settings: Settings) -> AbstractContextManager[None]:
    """One thread on a CPU, where their number decides how sums round; compiled passes keep the number they know."""
    return one_thread() if settings.device == "cpu" and not settings.compile else nullcontext()


def pieces(batch: np.ndarray, settings: Settings, image_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """What goes through detectors at once, filled up with its last image, and how many images of it count.

    The shape of a batch decides how a CPU rounds: there all pieces have one, whatever the size of the batch. Compiled
    passes know one batch size as well. Elsewhere the batch stays as it is.
    """
    size = piece_size(settings, image_size) if settings.compile or settings.device == "cpu" else len(batch)
    for start in range(0, len(batch), size):
        piece = batch[start : start + size]
        yield np.concatenate([piece, piece[-1:].repeat(size - len(piece), axis=0)]), len(piece)


def piece_size(settings: Settings, image_size: int) -> int:
    """Images that go through our detectors at once; on a CPU no more than keep it busy."""
    if settings.device == "cpu":
        return max(1, min(16, 2**17 // image_size**2))
    return batch_size(settings, image_size)


def to_images(pixels: np.ndarray, device: str) -> torch.Tensor:
    """Pixels uint8 (B, H, W, 3) to images float32 (B, 3, H, W) in [0, 1], channels last in memory."""
    levels = torch.from_numpy(pixels)
    if device.startswith("cuda"):
        # From pinned memory the copy goes on while the next layers' kernels are being launched.
        levels = levels.pin_memory().to(device, non_blocking=True)
    return levels.permute(0, 3, 1, 2).float() / 255
