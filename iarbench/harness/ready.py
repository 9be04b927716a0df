"""Targets and detectors in memory: loaded once, warm, and a user's detectors tried before the long work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from iarbench.detector import Detector, Scored, apply, reads_condition
from iarbench.errors import UserError
from iarbench.evidence import NO_ENCODER, Conditions, Evidence, Target
from iarbench.harness.asked import asked_for
from iarbench.harness.batches import be_exact, exact_threads, piece_size, to_images
from iarbench.harness.choose import Choice
from iarbench.harness.compiling import compile_passes
from iarbench.harness.fit import load_learnt
from iarbench.harness.isolate import Isolated
from iarbench.harness.load import Slab, prepare
from iarbench.harness.plan import Cell, IsolatedKey, Job, Plan, Settings
from iarbench.harness.targets import Targets, load_targets

Learnt = Mapping[str, Mapping[str, torch.Tensor]]
"""Key of a `Fit` -> what came of it."""

TRIED = 4
"""Images on which a user's detector shows, before the long work, that it does what detectors must."""


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
    targets = _warm_targets(jobs, settings)
    learnt = all_learnt((cell for job in jobs for cell in job.cells), root, settings.device)
    return Ready(targets, learnt, _isolated(jobs, targets, plan, learnt, settings))


def _warm_targets(jobs: Sequence[Job], settings: Settings) -> Targets:
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
                conditions = asked_for(plan.images, few) if reads_condition(cell.detector.kind) else None
                detector.require_scores_of_images_alone(images, settings.precision, conditions)
                detector.require_unchanged_weights()
    return found


def _warm_up(target: Target, settings: Settings) -> None:
    size = piece_size(settings, target.image_size) if settings.compile else 2
    side = target.image_size
    images = to_images(np.zeros((size, side, side, 3), dtype=np.uint8), settings.device)
    with exact_threads(settings):
        _ = Evidence(target, images, precision=settings.precision).x_hat_quant


@dataclass(frozen=True, slots=True)
class Ours:
    """One of our detectors as it scores: on evidence that it shares with others, with what it has learnt."""

    detector: Detector
    learnt: Mapping[str, torch.Tensor]
    """On the device; what several targets share is one object."""

    def score(self, evidence: Evidence, target: Target, conditions: Conditions = None) -> Scored:
        """Score the images of `evidence`, which is of a target with the same tokenizer; raises as `apply`."""
        return apply(self.detector, evidence.seen_by(target, self.learnt, conditions))


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
