"""Attacked copies of training images (arXiv 2606.28386, table A2), made once by worker processes.

Attacking a batch takes longer than training on it, so that copies are made beforehand and drawn from.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iarbench.attacks.schedule import STRENGTHS, attacked_each
from iarbench.files import scratch_folder
from iarbench.progress import Progress

#: copies of every image at a strength: weak ones are drawn from in a tenth of the training, others in four tenths each
COPIES = {"weak": 1, "medium": 2, "strong": 2}
#: images that a worker process takes at once; fewer images than this are attacked before a worker has started
CHUNK = 250


def stage(fraction: float) -> str | None:
    """Name of the strength after a ``fraction`` of the training, None for none."""
    if fraction < 0.1:
        return None
    return "weak" if fraction < 0.2 else "medium" if fraction < 0.6 else "strong"


@contextmanager
def attacked_copies(pixels: Tensor, seed: int, folder: Path, workers: int) -> Iterator[dict[str, list[Tensor]]]:
    """Copies of uint8 pixels (N, H, W, 3) by strength, each of the same shape; files in ``folder`` while they are used.

    Every image of a copy has one random attack of the strength. Copies depend on ``seed`` and the images alone.
    """
    with scratch_folder(folder / "attacked") as scratch:
        made: dict[str, list[Tensor]] = {strength: [] for strength in STRENGTHS}
        total = len(pixels) * sum(COPIES.values())
        with Progress("attack", total) as progress, _mapper(workers if len(pixels) > CHUNK else 0) as mapped:
            for strength, count in COPIES.items():
                for copy in range(count):
                    name = f"{seed}/{strength}/{copy}"
                    shape = tuple(pixels.shape)
                    file = np.lib.format.open_memmap(
                        scratch / f"{strength}-{copy}.npy", mode="w+", dtype=np.uint8, shape=shape
                    )
                    chunks = [(part.numpy(), strength, f"{name}/{i}") for i, part in enumerate(pixels.split(CHUNK))]
                    for i, chunk in enumerate(mapped(_attack_chunk, chunks)):
                        file[i * CHUNK : i * CHUNK + len(chunk)] = chunk
                        progress.advance(len(chunk))
                    made[strength].append(torch.from_numpy(file))
        yield made


Work = tuple[np.ndarray, str, str]


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[[Callable[[Work], np.ndarray], list[Work]], Iterable[np.ndarray]]]:
    """``map`` over that many worker processes; 0 stays in this one."""
    if not workers:
        yield map
        return
    # Not forked: a copy of a process whose threads compute can wait forever for a lock that one of them held.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def _attack_chunk(work: Work) -> np.ndarray:
    """Images uint8 (n, H, W, 3), each under one random attack of the strength; ``name`` is the source of randomness."""
    images, strength, name = work
    return attacked_each(images, strength, np.random.default_rng(list(name.encode())), name)
