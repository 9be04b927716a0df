"""Doing the work of a plan: batches of prepared images through every target and detector that has not seen them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from iarbench.detector import Evidence, Target, apply
from iarbench.errors import UserError
from iarbench.harness.lanes import in_lanes
from iarbench.harness.load import prepared, slabs
from iarbench.harness.memory import keep_freed_memory
from iarbench.harness.plan import Cell, Job, Plan, Settings
from iarbench.harness.store import write_part
from iarbench.loading import load_target


def decide(settings: Settings) -> Settings:
    """The settings with a device that exists and a number of workers.

    Raises:
        UserError: there is no such device.
    """
    device = _device(settings.device)
    workers = settings.workers
    if workers is None:
        # Beside a CPU run they would only take turns with it.
        workers = 0 if device == "cpu" else min(8, os.cpu_count() or 1)
    return replace(settings, device=device, workers=workers)


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name not in ("cpu", *(["cuda"] if count else []), *(f"cuda:{number}" for number in range(count))):
        raise UserError(f"device {name!r}: torch sees {count} CUDA devices here; choose cpu, cuda, cuda:N or auto")
    return name


def execute(jobs: Sequence[Job], plan: Plan, root: Path, settings: Settings, advance: Callable[[int], None]) -> None:
    """Compute and store every cell of `jobs` below `root`; each part is there as soon as its images are done.

    `settings`: after `decide`. `advance` is told how many more images have been scored.

    Raises:
        UserError: weights or images that cannot be used, or not enough memory on the GPU.
    """
    _be_exact()
    keep_freed_memory()
    try:
        _work_off(jobs, plan, root, settings, advance)
    except torch.OutOfMemoryError:
        size = max(_batch_size(settings, job.image_size) for job in jobs)
        raise UserError(
            f"the GPU has too little memory for batches of {size}; repeat with --batch-size {size // 4 or 1}"
        ) from None


def _work_off(jobs: Sequence[Job], plan: Plan, root: Path, settings: Settings, advance: Callable[[int], None]) -> None:
    targets = _load_targets(jobs, settings)
    work = [
        (job, slabs(job.chunk.image_ids, job.attack, job.image_size, plan.task.spec.preprocessing)) for job in jobs
    ]

    def do(job: Job, pixels: Iterator[np.ndarray]) -> None:
        columns = [_Column(cell, targets[cell.variant.name, cell.encoder]) for cell in job.cells]
        for batch in _rebatch(pixels, _batch_size(settings, job.image_size)):
            _score(columns, batch, settings)
            advance(len(batch))
        for column in columns:
            write_part(root, column.cell.part, column.scores, column.seconds, settings.device)

    if settings.device == "cpu" and not settings.workers:
        in_lanes([partial(do, job, prepared(plan.images, several, 0)) for job, several in work])
        return
    pixels = prepared(plan.images, (slab for _, several in work for slab in several), settings.workers or 0)
    with closing(pixels):
        for job, several in work:
            do(job, islice(pixels, len(several)))


@dataclass(slots=True)
class _Column:
    """The growing scores of one cell."""

    cell: Cell
    target: Target
    scores: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def _score(columns: Sequence[_Column], batch: np.ndarray, settings: Settings) -> None:
    images = to_images(batch, settings.device)
    evidence: dict[int, Evidence] = {}
    for column in columns:
        # Cells of one target follow each other; its signals are let go before the next one's are made.
        if id(column.target) not in evidence:
            evidence = {id(column.target): Evidence(column.target, images, dtype=settings.dtype)}
        scored = apply(column.cell.detector, evidence[id(column.target)])
        for name, values in scored.scores.items():
            column.scores.setdefault(name, []).extend(values)
        column.seconds.extend([scored.seconds] * len(batch))


def to_images(pixels: np.ndarray, device: str) -> torch.Tensor:
    """Pixels uint8 (B, H, W, 3) to images float32 (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255


def _rebatch(slabs: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same images in batches of `size`; the last may be smaller."""
    rest: np.ndarray | None = None
    for slab in slabs:
        rest = slab if rest is None or not len(rest) else np.concatenate([rest, slab])
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if rest is not None and len(rest):
        yield rest


def _batch_size(settings: Settings, image_size: int) -> int:
    """The batch size asked for, else one that fits; a released decoder takes about 30 kB a pixel while it works."""
    pixels = 2**17 if settings.device == "cpu" else 2**22
    return settings.batch_size or max(1, min(256, pixels // image_size**2))


def _load_targets(jobs: Sequence[Job], settings: Settings) -> dict[tuple[str, str], Target]:
    targets: dict[tuple[str, str], Target] = {}
    for cell in (cell for job in jobs for cell in job.cells):
        key = (cell.variant.name, cell.encoder)
        if key not in targets:
            target = load_target(*key, device=settings.device, weights_dir=settings.weights_dir)
            if target.weights_hash != cell.part.identity["target_weights"]:
                raise UserError(f"the weights of {key[0]} changed while the run was being planned; repeat the command")
            # a third faster on a CPU
            target.tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            _warm_up(target, settings)
            targets[key] = target
    return targets


def _warm_up(target: Target, settings: Settings) -> None:
    # The first pass allocates and chooses kernels: that is no image's cost.
    images = torch.zeros(2, 3, target.image_size, target.image_size, device=settings.device)
    evidence = Evidence(target, images, dtype=settings.dtype)
    _ = evidence.x_hat_quant


def _be_exact() -> None:
    # TF32 convolutions, the default on recent GPUs, keep 10 bits: scores would differ from the CPU's in the 3rd digit.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
