"""Letting detectors learn, once, before anything is scored; see `iarbench.harness.fit` for where it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.detector import reads_condition, what_it_reads
from iarbench.harness.asked import asked_for
from iarbench.harness.fit import Fit, digest, write_learnt
from iarbench.harness.plan import Plan, Settings
from iarbench.progress import counted
from iarbench.results.rows import CLEAN

if TYPE_CHECKING:
    from iarbench.fit_batch import FitBatch
    from iarbench.harness.isolate import Isolated

BATCH = 32
"""Images that a detector gets at once while it learns, whatever the batch size of the scoring."""


def with_learnt(plan: Plan, root: Path) -> Plan:
    """The plan with the hash of what was learnt, where it is there, in the identity of the scores; no torch."""
    digests = {fit.key: digest(root, fit) for fit in _fits(plan)}
    if not digests:
        return plan
    jobs = []
    for job in plan.jobs:
        cells = [
            replace(cell, part=replace(cell.part, identity={**cell.part.identity, "learnt": digests[cell.fit.key]}))
            if cell.fit is not None
            else cell
            for cell in job.cells
        ]
        jobs.append(replace(job, cells=tuple(cells)))
    return replace(plan, jobs=tuple(jobs))


def unfitted(plan: Plan, root: Path) -> list[Fit]:
    """What is still to be learnt."""
    return [fit for fit in _fits(plan) if digest(root, fit) is None]


def learn(plan: Plan, root: Path, settings: Settings) -> Plan:
    """The plan, after every detector in it has learnt what it is to learn; without such detectors no torch.

    Raises:
        UserError: images, weights or a device that cannot be used, or a detector that fails or returns no tensors.
    """
    if todo := unfitted(plan, root):
        from iarbench.harness.execute import decide

        fit_all(todo, plan, root, decide(settings))
    return with_learnt(plan, root)


def fit_all(fits: Sequence[Fit], plan: Plan, root: Path, settings: Settings) -> None:
    """Let the detectors of `fits` learn and store it below `root`. `settings`: after `decide`; raises as `learn`."""
    from iarbench.harness.batches import be_exact, exact_threads
    from iarbench.harness.isolate import Isolated
    from iarbench.harness.targets import load_targets

    be_exact()
    wanted = [(fit.variant, fit.encoder, "transformer" in what_it_reads(fit.detector.kind)) for fit in fits]
    targets = load_targets(wanted, settings)
    work = counted(zip(fits, wanted, strict=True), "learning", len(fits), "detectors")
    for fit, (variant, encoder, transformer) in work:
        choice = fit.detector
        at_work = Isolated(choice.make(), targets[variant.name, encoder, transformer], choice.owner, choice.folder)
        with exact_threads(settings):
            learnt = at_work.fit(_Images(fit, plan, at_work, settings))
        write_learnt(root, fit, learnt)


class _Images:
    """The batches that `Detector.fit` goes through, as often as it likes."""

    def __init__(self, fit: Fit, plan: Plan, at_work: Isolated, settings: Settings) -> None:
        self.fit, self.plan, self.at_work, self.settings = fit, plan, at_work, settings

    def __len__(self) -> int:
        return -(-len(self.fit.image_ids) // BATCH)

    def __iter__(self) -> Iterator[FitBatch]:
        import torch

        from iarbench.fit_batch import FitBatch
        from iarbench.harness.batches import to_images
        from iarbench.harness.load import Slab, prepare

        fit = self.fit
        starts = range(0, len(fit.image_ids), BATCH)
        for start in counted(starts, "learning", len(starts), "batches"):  # a sign of life within the detectors' count
            ids, sources = fit.image_ids[start : start + BATCH], fit.sources[start : start + BATCH]
            slab = Slab(ids, CLEAN, fit.variant.image_size, self.plan.task.spec.preparation, self.plan.weights_dir)
            images = to_images(prepare(self.plan.images, slab), self.settings.device)
            own = torch.tensor([source == fit.target for source in sources], device=images.device)
            real = torch.tensor([source in fit.real for source in sources], device=images.device)
            conditions = asked_for(self.plan.images, ids) if reads_condition(fit.detector.kind) else None
            yield FitBatch(self.at_work.evidence(images, self.settings.precision, conditions), own, sources, real)


def _fits(plan: Plan) -> list[Fit]:
    found = {cell.fit.key: cell.fit for job in plan.jobs for cell in job.cells if cell.fit is not None}
    return list(found.values())
