"""Doing the work of a plan: batches of prepared images through every target and detector that has not seen them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from iarbench.detector import Detector, Scored, apply, what_it_reads
from iarbench.device import AtOnce, resolve_device
from iarbench.errors import UserError
from iarbench.evidence import NO_ENCODER, Evidence, Target
from iarbench.harness.choose import Choice
from iarbench.harness.compiling import compile_passes
from iarbench.harness.fit import load_learnt
from iarbench.harness.isolate import Isolated
from iarbench.harness.load import Slab, prepare, prepared, slabs
from iarbench.harness.plan import Cell, IsolatedKey, Job, Plan, Settings, still_missing
from iarbench.harness.store import write_part
from iarbench.harness.targets import Targets, load_targets
from iarbench.harness.threads import side_by_side
from iarbench.nn.memory import keep_freed_memory
from iarbench.nn.threads import one_thread

Learnt = Mapping[str, Mapping[str, torch.Tensor]]
"""Key of a `Fit` -> what came of it."""

TRIED = 4
"""Images on which a user's detector shows, before the long work, that it does what detectors must."""


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


@dataclass(frozen=True, slots=True)
class Ready:
    """Targets and detectors in memory, warm and tried, for all cells that they were made for."""

    targets: Targets
    learnt: Learnt
    isolated: Mapping[IsolatedKey, Isolated]
    pool: ProcessPoolExecutor | None = None
    """Of processes that prepare images, see `iarbench.harness.load.open_pool`; without it every call opens its own."""


def make_ready(jobs: Sequence[Job], plan: Plan, root: Path, settings: Settings) -> Ready:
    """Load what these jobs need. `settings`: after `decide`.

    Raises:
        UserError: weights that cannot be used, or a user's detector that does not do what detectors must.
    """
    be_exact()
    targets = _ready(jobs, settings)
    learnt = all_learnt((cell for job in jobs for cell in job.cells), root, settings.device)
    return Ready(targets, learnt, _isolated(jobs, targets, plan, learnt, settings))


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

    def do(job: Job, pixels: Iterator[np.ndarray]) -> None:
        columns = _columns(job, at_hand)
        for batch in _rebatch(pixels, batch_size(settings, job.image_size)):
            _score(columns, batch, settings)
            advance(len(batch))
        for column in columns:
            column.check(settings)
        for column in columns:
            write_part(root, column.cell.part, column.scores, column.seconds, settings.device)

    def cut(job: Job) -> Iterator[Slab]:
        yield from slabs(job.chunk.image_ids, job.attack, job.image_size, preparation, weights)

    # Every thread would compile anew.
    if settings.device == "cpu" and not settings.workers and not settings.compile:
        ours = sorted(_only(jobs, ours=True), key=_size, reverse=True)  # short ones last: no thread waits long
        side_by_side([partial(do, job, prepared(plan.images, cut(job), 0)) for job in ours])
        jobs = _only(jobs, ours=False)  # code of users may keep what it likes wherever it likes: one thread
    everything = (slab for job in jobs for slab in cut(job))
    pixels = prepared(plan.images, everything, settings.workers or 0, at_hand.pool)
    with closing(pixels):
        for job in jobs:
            do(job, islice(pixels, sum(1 for _ in cut(job))))


def _to_stderr(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _size(job: Job) -> int:
    return len(job.chunk) * len(job.cells)


def _only(jobs: Sequence[Job], *, ours: bool) -> list[Job]:
    """The jobs with the cells of our detectors, or with those of users' alone."""
    kept = [replace(job, cells=tuple(cell for cell in job.cells if cell.detector.is_ours == ours)) for job in jobs]
    return [job for job in kept if job.cells]


def _ready(jobs: Sequence[Job], settings: Settings) -> Targets:
    """The targets of all jobs, each having seen a batch: to allocate, choose kernels and compile is no image's cost."""
    cells = [cell for job in jobs for cell in job.cells]
    targets = load_targets((cell.target for cell in cells), settings)
    for cell in cells:
        if targets[cell.target_key].weights_hash != cell.part.identity["target_weights"]:
            raise UserError(
                f"the weights of {cell.variant.name} changed while the run was being planned; repeat the command"
            )
    for target in {id(target.tokenizer): target for target in targets.values()}.values():
        if target.encoder == NO_ENCODER:
            continue
        warm_up = partial(_warm_up, target, settings)
        if settings.compile:
            compile_passes(target, warm_up)
        else:
            warm_up()
    return targets


def _isolated(
    jobs: Sequence[Job], targets: Targets, plan: Plan, learnt: Learnt, settings: Settings
) -> dict[IsolatedKey, Isolated]:
    """Every detector of a user's at every target, having shown on a few images that it does what detectors must."""
    found: dict[IsolatedKey, Isolated] = {}
    tried: set[Choice] = set()
    for job in jobs:
        for cell in job.cells:
            if cell.detector.is_ours or cell.isolated_key in found:
                continue
            detector = at_work(cell, targets, learnt)
            assert isinstance(detector, Isolated)
            found[cell.isolated_key] = detector
            if cell.detector not in tried:
                tried.add(cell.detector)
                few, preparation = job.chunk.image_ids[:TRIED], plan.task.spec.preparation
                slab = Slab(few, job.attack, job.image_size, preparation, plan.weights_dir)
                images = to_images(prepare(plan.images, slab), settings.device)
                detector.require_scores_of_images_alone(images, settings.precision)
                detector.require_unchanged_weights()
    return found


@dataclass(frozen=True, slots=True)
class Ours:
    """One of our detectors as it scores: on evidence that it shares with others, with what it has learnt."""

    detector: Detector
    learnt: Mapping[str, torch.Tensor]
    """On the device; what several targets share is one object."""

    def score(self, evidence: Evidence, target: Target) -> Scored:
        """Score the images of `evidence`, which is of a target with the same tokenizer; raises as `apply`."""
        return apply(self.detector, evidence.seen_by(target, self.learnt))


def at_work(cell: Cell, targets: Targets, learnt: Learnt) -> Ours | Isolated:
    """The detector of a cell as it scores: ours on shared evidence, a user's isolated; each with what it has learnt."""
    choice = cell.detector
    known = learnt[cell.fit.key] if cell.fit is not None else {}
    if choice.is_ours:
        return Ours(choice.make(), known)
    return Isolated(choice.make(), target_of(cell, targets), choice.owner, choice.folder, known)


def target_of(cell: Cell, targets: Targets) -> Target:
    """The target of a cell, by its own name even where another one's tokenizer is read."""
    return replace(targets[cell.target_key], name=cell.variant.name, family=cell.variant.family)


def all_learnt(cells: Iterable[Cell], root: Path, device: str) -> Learnt:
    """What the detectors of these cells have learnt, read from below `root` once for all that share it."""
    fits = {cell.fit.key: cell.fit for cell in cells if cell.fit is not None}
    return {
        key: {name: value.to(device) for name, value in load_learnt(root, fit).items()} for key, fit in fits.items()
    }


@dataclass(slots=True)
class _Column:
    """The growing scores of one cell."""

    cell: Cell
    target: Target
    detector: Ours | Isolated
    scores: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    probe: torch.Tensor | None = None
    """The last image of the first batch, for an isolated detector: scored once more in the end."""
    probed: int = 0

    def add(self, scored: Scored, count: int) -> None:
        for name, values in scored.scores.items():
            self.scores.setdefault(name, []).extend(values[:count])
        self.seconds.extend([scored.seconds] * count)

    def check(self, settings: Settings) -> None:
        """Raise UserError when an isolated detector has not kept to the rules meanwhile."""
        if not isinstance(self.detector, Isolated) or self.probe is None:
            return
        scale = max(abs(value) for values in self.scores.values() for value in values)
        before = {name: values[self.probed] for name, values in self.scores.items()}
        self.detector.require_same(self.probe, settings.precision, before, scale)
        self.detector.require_unchanged_weights()


def _columns(job: Job, ready: Ready) -> list[_Column]:
    """A column for every cell; those that share a tokenizer follow each other."""
    together: dict[int, list[_Column]] = {}
    for cell in job.cells:
        target = target_of(cell, ready.targets)
        detector = ready.isolated.get(cell.isolated_key) or at_work(cell, ready.targets, ready.learnt)
        together.setdefault(id(target.tokenizer), []).append(_Column(cell, target, detector))
    return [column for columns in together.values() for column in columns]


def _score(columns: Sequence[_Column], batch: np.ndarray, settings: Settings) -> None:
    ours = [column for column in columns if not isinstance(column.detector, Isolated)]
    if ours:
        _score_ours(ours, batch, settings)
    if len(ours) < len(columns):
        _score_isolated(columns, batch, settings)


def _score_ours(columns: Sequence[_Column], batch: np.ndarray, settings: Settings) -> None:
    for piece, count in pieces(batch, settings, columns[0].target.image_size):
        with exact_threads(settings):
            _score_piece(columns, piece, count, settings)


def _score_piece(columns: Sequence[_Column], piece: np.ndarray, count: int, settings: Settings) -> None:
    images = to_images(piece, settings.device)
    evidence = Evidence(columns[0].target, images, precision=settings.precision)
    for column in columns:
        assert isinstance(column.detector, Ours)
        # The signals of one tokenizer are let go before the next one's are made.
        if column.target.tokenizer is not evidence.target.tokenizer:
            evidence = Evidence(column.target, images, precision=settings.precision)
        column.add(column.detector.score(evidence, column.target), count)


def _score_isolated(columns: Sequence[_Column], batch: np.ndarray, settings: Settings) -> None:
    isolated = [column for column in columns if isinstance(column.detector, Isolated)]
    if not isolated:
        return
    for piece, count in pieces(batch, settings, isolated[0].target.image_size):
        with exact_threads(settings):
            _score_piece_isolated(isolated, piece, count, settings)


def _score_piece_isolated(columns: Sequence[_Column], piece: np.ndarray, count: int, settings: Settings) -> None:
    filled = to_images(piece, settings.device)
    for_all_targets: dict[Choice, Scored] = {}
    for column in columns:
        assert isinstance(column.detector, Isolated)
        choice = column.cell.detector
        # What reads the image alone may be slow, and no pass of ours rounds by the size of its batch.
        images = filled[:count] if what_it_reads(choice.kind) == {"image"} else filled
        scored = for_all_targets.get(choice) or column.detector.score(images, settings.precision)
        if not choice.kind.uses_target:
            for_all_targets[choice] = scored
        column.add(scored, count)
        if column.probe is None:
            column.probe, column.probed = images[count - 1 : count], count - 1


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


def batch_size(settings: Settings, image_size: int) -> int:
    """The batch size asked for, else one that fits; a released decoder takes about 30 kB a pixel while it works."""
    pixels = 2**17 if settings.device == "cpu" else 2**22
    return settings.batch_size or max(1, min(256, pixels // image_size**2))


def _warm_up(target: Target, settings: Settings) -> None:
    size = piece_size(settings, target.image_size) if settings.compile else 2
    side = target.image_size
    images = to_images(np.zeros((size, side, side, 3), dtype=np.uint8), settings.device)
    with exact_threads(settings):
        _ = Evidence(target, images, precision=settings.precision).x_hat_quant


def be_exact() -> None:
    """Full float32 and the same kernels every time.

    TF32, the default for convolutions on recent GPUs, keeps 10 bits: scores would differ from a CPU's in the 3rd digit.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
