"""Training images in memory as uint8, and their augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from iarbench.errors import UserError
from iarbench.images.decode import decode_rgb
from iarbench.images.preprocess import Preprocess
from iarbench.progress import Progress


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """``pixels`` uint8 (N, 3, S, S) and ``labels`` int64 (N,)."""

    pixels: Tensor
    labels: Tensor


def load_parquet(path: Path, size: int, label_column: str = "label") -> TrainingImages:
    """Every image of a Parquet file with an ``image`` column, shorter side resized and centre-cropped to ``size``.

    Without a ``label_column`` all labels are 0. Raises UserError, ImageError for the first image that does not decode.
    """
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable Parquet file ({str(error).splitlines()[0]})") from None
    names = file.schema_arrow.names
    if "image" not in names:
        raise UserError(f"{path} has no column 'image'; it has: {', '.join(names)}")
    columns = [name for name in ("image", label_column) if name in names]
    total, fit = file.metadata.num_rows, Preprocess(size)
    pixels, labels = np.empty((total, 3, size, size), np.uint8), np.zeros(total, np.int64)
    progress, done = Progress(f"load {path.name}", total), 0
    for batch in file.iter_batches(batch_size=500, columns=columns):
        for row in batch.to_pylist():
            image = decode_rgb(row["image"]["bytes"], f"{path}, row {done}")
            pixels[done] = np.asarray(fit.image(image)).transpose(2, 0, 1)
            labels[done] = row.get(label_column, 0)
            done += 1
        progress.show(done)
    return TrainingImages(torch.from_numpy(pixels), torch.from_numpy(labels))


def random_batch(pixels: Tensor, size: int) -> Tensor:
    """``size`` images float32 (B, 3, S, S) in [0, 1], each mirrored with probability one half."""
    batch = pixels[torch.randint(len(pixels), (size,))].float() / 255
    flip = torch.rand(size) < 0.5
    batch[flip] = batch[flip].flip(-1)
    return batch
