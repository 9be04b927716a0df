"""Making images with a generator: image ids, their seeds, and records with the tokens they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import torch
from PIL import Image

from iarbench.generator import Generator
from iarbench.images.decode import Lossless, encode
from iarbench.images.record import ImageRecord
from iarbench.nn.threads import threads_for
from iarbench.progress import Progress


def image_name(generator: str, split: str, index: int) -> str:
    """Id of one generated image; the split is part of it, so no two splits share a seed."""
    return f"{generator}/{split}/{index:06d}"


def seed_of(name: str, base: int = 0) -> int:
    """The random seed that belongs to an image id: 63 bits of its SHA-256, another for another ``base``."""
    digest = hashlib.sha256(f"iarbench/{base}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def make_records(
    generator: Generator,
    name: str,
    split: str,
    count: int,
    conditions: Sequence[int] | Sequence[str],
    base_seed: int = 0,
    container: Lossless = "webp",
    batch: int = 50,
    licence: str | None = None,
    start: int = 0,
    advance: Callable[[int], object] | None = None,
) -> Iterator[ImageRecord]:
    """``count`` images of ``generator`` as records of ``split``, lossless in ``container``.

    ``conditions``, class numbers or prompts, are used in turn, so that any prefix of a set is as balanced as it can be.

    ``licence``: of the images, for their rows. ``start``: the number of the first one. ``advance``: is told how many
    more are made, in place of a line of progress.

    Each image depends on its id and ``base_seed`` alone: asking for more images leaves the first ones as they are.
    """
    advance = advance or Progress(f"generate {name}/{split}", count).advance
    device = next(generator.transformer.parameters()).device
    for first in range(start, start + count, batch):
        indices = range(first, min(first + batch, start + count))
        names = [image_name(name, split, i) for i in indices]
        seeds = [seed_of(n, base_seed) for n in names]
        chosen = [conditions[i % len(conditions)] for i in indices]
        given = torch.tensor(chosen, device=device) if isinstance(chosen[0], int) else chosen
        with threads_for(generator.transformer):
            sample = generator.sample(given, seeds)
        rows = zip(names, seeds, chosen, sample.images.cpu().numpy(), sample.tokens.tolist(), strict=True)
        for image_id, seed, label, pixels, tokens in rows:
            data = encode(Image.fromarray(pixels), container)
            yield ImageRecord.make(
                data,
                image_id=image_id,
                source=name,
                split=split,
                condition=str(label),
                seed=seed,
                tokens=tokens,
                licence=licence,
            )
        advance(len(indices))
