"""What the attacks of a run did to the images: PSNR and SSIM of every attacked image, stored beside the scores.

Measured are the test images whose attack a row is about: the target's own or, where attacks act on non-members only,
theirs. Parts lie in quality/ below the folder of a run and are named like those of scores, so that they are measured
once; they are joined to the scores when these are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

from iarbench.attack import parse
from iarbench.attacks.quality import psnr, ssim
from iarbench.device import cores
from iarbench.harness.load import prepare, slabs
from iarbench.harness.plan import Job, Plan
from iarbench.harness.store import Part, is_stored, safe, write_part
from iarbench.progress import Progress
from iarbench.results.rows import CLEAN
from iarbench.results.scores import QUALITY

VERSION = 1
"""Raise it when a measure could change."""


@dataclass(frozen=True)
class QualityPart(Part):
    """One file of measures: one attack over one chunk at one size."""

    @cached_property
    def path(self) -> str:
        """Relative to the folder of the run: quality/<attack>/<size>px/<images>-<key>.parquet."""
        folders = (safe(str(self.identity["attack"])), f"{self.identity['image_size']}px")
        images = safe(f"{self.chunk.source}-{self.chunk.split}")
        return "/".join([QUALITY, *folders, f"{images}-{self.key[:12]}.parquet"])


@dataclass(frozen=True)
class Measure:
    """A part and the attack as it was written, by which its code is found."""

    part: QualityPart
    attack: str
    image_size: int


def measures(plan: Plan) -> list[Measure]:
    """Everything that is to be measured for a plan, in its order."""
    spec = plan.task.spec
    asked = {parse(name).name for name in spec.attacks} - {CLEAN}
    found: dict[str, Measure] = {}
    for job in plan.jobs:
        if parse(job.attack).name in asked and _is_about_its_attack(job, plan):
            part = QualityPart(_identity(job), {}, job.chunk)
            found.setdefault(part.path, Measure(part, job.attack, job.image_size))
    return list(found.values())


def _is_about_its_attack(job: Job, plan: Plan) -> bool:
    """Whether a row of one of the job's targets stands on its images as attacked ones."""
    spec, source = plan.task.spec, job.chunk.source
    if spec.attacked == "nonmembers":
        return job.chunk.split == spec.nonmember_split and any(cell.variant.name != source for cell in job.cells)
    return job.chunk.split == spec.member_split and any(cell.variant.name == source for cell in job.cells)


def _identity(job: Job) -> dict[str, object]:
    """What the attacked pixels and their measures depend on, the images apart."""
    whole = job.cells[0].part.identity
    acted = {key: value for key, value in whole.items() if key.startswith("attack") or key == "preprocessing"}
    return {"quality_version": VERSION, **acted, "image_size": job.image_size}


def unmeasured(plan: Plan, root: Path) -> list[Measure]:
    """Those that are not stored below `root`."""
    return [one for one in measures(plan) if not is_stored(root, one.part)]


def measure(todo: Sequence[Measure], plan: Plan, root: Path, progress: TextIO | None) -> None:
    """Measure and store; several parts at once, since filters and codecs let other threads work."""
    total = sum(len(one.part.chunk) for one in todo)
    with Progress("measuring attacks", total, stream=progress) as bar, ThreadPoolExecutor(cores()) as pool:
        for one in pool.map(lambda one: measure_one(one, plan, root), todo):
            bar.advance(len(one.part.chunk))


def measure_one(one: Measure, plan: Plan, root: Path) -> Measure:
    """Measure a part and store it below `root`."""
    pairs = list(_measured(one, plan))
    scores = {"psnr": [pair[0] for pair in pairs], "ssim": [pair[1] for pair in pairs]}
    write_part(root, one.part, scores, [0.0] * len(pairs), "cpu")
    return one


def _measured(one: Measure, plan: Plan) -> Iterator[tuple[float, float]]:
    ids, images, treatment = one.part.chunk.image_ids, plan.images, plan.task.spec.preparation
    clean, attacked = (slabs(ids, name, one.image_size, treatment, plan.weights_dir) for name in (CLEAN, one.attack))
    for before, after in zip(clean, attacked, strict=True):
        for pair in zip(prepare(images, before), prepare(images, after), strict=True):
            yield psnr(*pair), ssim(*pair)
