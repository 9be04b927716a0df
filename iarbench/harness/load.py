"""Images ready to be scored: read, decoded, brought to size and attacked, here or in worker processes, in order.

Workers know nothing of torch, but for attacks through a tokenizer. What they do to an image depends on the image alone,
so their number changes nothing.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from iarbench.attack import attack_image, parse
from iarbench.errors import UserError
from iarbench.harness.children import end_with_parent
from iarbench.images.image_set import ImageSet
from iarbench.images.preparation import Preparation

_attack = cache(parse)
_SLAB_BYTES = 32 * 2**20
_SLAB_IMAGES = 64


@dataclass(frozen=True, slots=True)
class Slab:
    """A few images that are prepared in one go."""

    image_ids: tuple[str, ...]
    attack: str
    image_size: int
    preparation: Preparation
    weights_dir: Path | None = None
    """where attacks through a tokenizer look first"""


def slabs(
    image_ids: tuple[str, ...],
    attack: str,
    image_size: int,
    preparation: Preparation,
    weights_dir: Path | None = None,
) -> list[Slab]:
    """Cut a list of images into slabs whose pixels take a few tens of megabytes at most."""
    step = max(1, min(_SLAB_IMAGES, _SLAB_BYTES // (3 * image_size**2)))
    return [
        Slab(image_ids[start : start + step], attack, image_size, preparation, weights_dir)
        for start in range(0, len(image_ids), step)
    ]


def prepare(images: ImageSet, slab: Slab) -> np.ndarray:
    """The pixels of a slab, uint8 (n, H, W, 3).

    Raises:
        UserError: an image that cannot be decoded, or of another size where sizes must be exact.
    """
    attack = _attack(slab.attack, slab.weights_dir)
    pixels = np.empty((len(slab.image_ids), slab.image_size, slab.image_size, 3), dtype=np.uint8)
    for place, record in enumerate(images.read(slab.image_ids)):
        image = slab.preparation.image(record, slab.image_size)
        pixels[place] = np.asarray(attack_image(attack, image, record.image_id))
    return pixels


def prepared(
    images: ImageSet, work: Iterable[Slab], workers: int, pool: ProcessPoolExecutor | None = None
) -> Generator[np.ndarray, None, None]:
    """The pixels of every slab, in order; `workers` processes stay a little ahead, 0 does it here when asked.

    `pool`: of that many processes, opened for these images; without it one is opened, and closed in the end.

    Raises:
        UserError: as `prepare`; or a worker process died.
    """
    if workers == 0:
        yield from (prepare(images, slab) for slab in work)
        return
    with ExitStack() as stack:
        if pool is None:
            pool = open_pool(images, workers)
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        try:
            yield from _ahead(pool, work, window=2 * workers + 2)
        except BrokenProcessPool:
            raise UserError("a worker process died (out of memory?); repeat the command with fewer --workers") from None


def open_pool(images: ImageSet, workers: int) -> ProcessPoolExecutor:
    """Processes that prepare images of one set; they know nothing of torch."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(images,))


def _ahead(pool: ProcessPoolExecutor, work: Iterable[Slab], window: int) -> Iterator[np.ndarray]:
    # Results wait in memory until they are used: a window keeps that from growing with the number of images.
    waiting: deque[Future[np.ndarray]] = deque()
    for slab in work:
        waiting.append(pool.submit(_prepare_in_worker, slab))
        if len(waiting) >= window:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


_images: ImageSet | None = None


def _start_worker(images: ImageSet) -> None:
    global _images
    _images = images
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone decides
    end_with_parent()


def _prepare_in_worker(slab: Slab) -> np.ndarray:
    assert _images is not None, "the initializer has run"
    return prepare(_images, slab)
