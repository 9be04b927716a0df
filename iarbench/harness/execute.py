"""Doing the work of a plan: batches of prepared images through every target and detector that has not seen them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from iarbench.detector import reads_condition
from iarbench.device import AtOnce, resolve_device
from iarbench.harness.asked import asked_for
from iarbench.harness.batches import batch_size, be_exact, piece_size, rebatched
from iarbench.harness.joined import asks, images, joined
from iarbench.harness.load import Slab, prepared, slabs
from iarbench.harness.plan import Job, Plan, Settings, still_missing
from iarbench.harness.ready import Ready, make_ready
from iarbench.harness.scoring import columns_of, score
from iarbench.harness.store import write_part
from iarbench.harness.threads import side_by_side
from iarbench.nn.memory import keep_freed_memory


def decide(settings: Settings) -> Settings:
    """The settings with a device that exists and a number of workers.

    Raises:
        UserError: there is no such device.
    """
    device = resolve_device(settings.device)
    workers = settings.workers
    if workers is None:
        # Beside a CPU run they would only take turns with it.
        workers = 0 if device == "cpu" else min(8, os.cpu_count() or 1)
    return replace(settings, device=device, workers=workers)


def execute(
    jobs: Sequence[Job],
    plan: Plan,
    root: Path,
    settings: Settings,
    advance: Callable[[int], None],
    say: Callable[[str], None] | None = None,
    ready: Ready | None = None,
) -> Settings:
    """Compute and store every cell of `jobs` below `root`; each part is there as soon as its images are done.

    Args:
        settings: after `decide`.
        advance: is told how many more images have been scored.
        say: is told that a GPU's memory ran out, in which case the work goes on with half the batch, once; by default
            that is said on standard error.
        ready: made for these jobs and others; by default it is made here.

    Returns:
        The settings at the end: the batch size may be another.

    Raises:
        UserError: weights or images that cannot be used, or not enough memory on the GPU.
    """
    be_exact()
    keep_freed_memory()
    batch = AtOnce(max((batch_size(settings, job.image_size) for job in jobs), default=1))
    while True:
        with suppress(torch.OutOfMemoryError):
            _work_off(jobs, plan, root, settings, advance, ready)
            return settings
        batch.halve(say or _to_stderr)
        settings, jobs = replace(settings, batch_size=batch.size), still_missing(jobs, root)


def _work_off(
    jobs: Sequence[Job],
    plan: Plan,
    root: Path,
    settings: Settings,
    advance: Callable[[int], None],
    ready: Ready | None,
) -> None:
    at_hand = ready or make_ready(jobs, plan, root, settings)
    preparation, weights = plan.task.spec.preparation, plan.weights_dir

    def do(group: Sequence[Job], pixels: Iterator[np.ndarray]) -> None:
        first = group[0]
        columns = columns_of(first, at_hand)
        told = any(reads_condition(cell.detector.kind) for cell in first.cells)
        conditions = asked_for(plan.images, _image_ids(group)) if told else None
        done = 0
        for batch in rebatched(pixels, batch_size(settings, first.image_size)):
            score(columns, batch, settings, conditions and conditions[done : done + len(batch)])
            done += len(batch)
            advance(len(batch))
        for column in columns:
            column.check(settings)
        done = 0
        for job in group:
            own = slice(done, done + len(job.chunk))
            done = own.stop
            parts = {asks(cell): cell.part for cell in job.cells}
            for column in columns:
                scores = {name: values[own] for name, values in column.scores.items()}
                write_part(root, parts[asks(column.cell)], scores, column.seconds[own], settings.device)

    def cut(group: Sequence[Job]) -> Iterator[Slab]:
        first = group[0]
        yield from slabs(_image_ids(group), first.attack, first.image_size, preparation, weights)

    # Every thread would compile anew.
    if settings.device == "cpu" and not settings.workers and not settings.compile:
        groups = _joined(_only(jobs, ours=True), settings)
        groups = sorted(groups, key=_size, reverse=True)  # short ones last: no thread waits long
        side_by_side([partial(do, group, prepared(plan.images, cut(group), 0)) for group in groups])
        jobs = _only(jobs, ours=False)  # code of users may keep what it likes wherever it likes: one thread
    everything = (slab for job in jobs for slab in cut([job]))
    pixels = prepared(plan.images, everything, settings.workers or 0, at_hand.pool)
    with closing(pixels):
        for job in jobs:
            do([job], islice(pixels, sum(1 for _ in cut([job]))))


def _joined(jobs: Sequence[Job], settings: Settings) -> list[list[Job]]:
    """Jobs of every size of images, small ones together."""
    by_size: dict[int, list[Job]] = {}
    for job in jobs:
        by_size.setdefault(job.image_size, []).append(job)
    threads = torch.get_num_threads()
    return [group for size, same in by_size.items() for group in joined(same, piece_size(settings, size), threads)]


def _image_ids(group: Sequence[Job]) -> tuple[str, ...]:
    return tuple(name for job in group for name in job.chunk.image_ids)


def _to_stderr(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _size(group: Sequence[Job]) -> int:
    return images(group) * len(group[0].cells)


def _only(jobs: Sequence[Job], *, ours: bool) -> list[Job]:
    """The jobs with the cells of our detectors, or with those of users' alone."""
    kept = [replace(job, cells=tuple(cell for cell in job.cells if cell.detector.is_ours == ours)) for job in jobs]
    return [job for job in kept if job.cells]
