"""Training images in memory as uint8, and their augmentation."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """``pixels`` uint8 (N, 3, S, S) and ``labels`` int64 (N,)."""

    pixels: Tensor
    labels: Tensor


def load_parquet(path: Path, size: int, label_column: str = "label") -> TrainingImages:
    """Decode every image of a Parquet file; pictures of another size are resized and centre-cropped to ``size``."""
    table = pq.read_table(path, columns=["image", label_column])
    pixels = np.empty((table.num_rows, size, size, 3), np.uint8)
    for i, cell in enumerate(table["image"].to_pylist()):
        pixels[i] = np.asarray(_fit(Image.open(io.BytesIO(cell["bytes"])).convert("RGB"), size))
    labels = torch.tensor(table[label_column].to_pylist())
    return TrainingImages(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)


def _fit(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def random_batch(pixels: Tensor, size: int) -> Tensor:
    """``size`` images float32 (B, 3, S, S) in [0, 1], each mirrored with probability one half."""
    batch = pixels[torch.randint(len(pixels), (size,))].float() / 255
    flip = torch.rand(size) < 0.5
    batch[flip] = batch[flip].flip(-1)
    return batch
