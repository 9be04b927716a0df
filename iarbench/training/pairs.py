"""What an inverse encoder learns from: images as they would be saved, and the tokens they were decoded from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iarbench.files import sha256_file
from iarbench.generator import to_uint8
from iarbench.images.image_set import ImageSet
from iarbench.models.loading import load_generator
from iarbench.models.sample_images import make_records
from iarbench.models.variants import Variant
from iarbench.models.weights import locate
from iarbench.progress import Progress
from iarbench.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Pairs:
    """``pixels`` uint8 (N, H, W, 3) and ``tokens`` int64 (N, L)."""

    pixels: Tensor
    tokens: Tensor


def own_pairs(variant: Variant, count: int, out: Path, device: str, weights_dir: Path | None) -> Pairs:
    """``count`` images of the split "train", whose seeds no evaluation set shares; made once, in a folder in ``out``.

    Its name tells the weights, so that images of others are never taken for theirs. They are made in float32, twice as
    fast as the images of evaluation sets: a grey level teaches nothing.
    """
    made_by = [sha256_file(locate(variant, part, weights_dir)) for part in ("tokenizer", "transformer")]
    weights = hashlib.sha256("\n".join(made_by).encode()).hexdigest()
    folder = out / f"{variant.name}-train-{count}-{weights[:8]}"
    if not folder.is_dir():
        generator = load_generator(variant.name, device, weights_dir)
        records = make_records(generator, variant.name, "train", count, variant.every_condition)
        ImageSet.write(records, folder)
    pixels = torch.empty(count, variant.image_size, variant.image_size, 3, dtype=torch.uint8)
    tokens = []
    for i, record in enumerate(r for batch in ImageSet.open(folder).iterate() for r in batch):
        pixels[i] = torch.from_numpy(np.array(record.pil()))
        tokens.append(record.tokens)
    return Pairs(pixels, torch.tensor(tokens))


@torch.inference_mode()
def pairs_of_pictures(tokenizer: Tokenizer, pictures: Tensor) -> Pairs:
    """Images decoded from the greedy tokens of pictures, uint8 (N, 3, S, S): quick to make, and many."""
    device = next(tokenizer.parameters()).device
    progress = Progress("pairs", len(pictures))
    pixels, tokens = [], []
    for batch in pictures.split(50):
        found = tokenizer.quantize(tokenizer.encode(batch.to(device).float() / 255))
        pixels.append(to_uint8(tokenizer.decode(found.features)).cpu())
        tokens.append(found.tokens.cpu())
        progress.show(progress.done + len(batch))
    return Pairs(torch.cat(pixels), torch.cat(tokens))
