"""Tracing single images: their scores by every target against the scores of non-members.

Images of all splits calibrate: nothing of the set is evaluated here, and an answer at a small error over many targets
needs many. As in results, the images of all other generators are one set.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from iarbench.content import calibration_path
from iarbench.detector import Detector, tells_siblings
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.files import write_atomically
from iarbench.harness.learn import learn
from iarbench.harness.plan import Plan, Settings, make_plan, together
from iarbench.harness.store import is_stored
from iarbench.images.decode import decode_rgb
from iarbench.images.image_set import ImageSet
from iarbench.images.preprocess import Preprocess
from iarbench.models import variants
from iarbench.models.weights import encoders
from iarbench.progress import Progress
from iarbench.results.compute import load_scores
from iarbench.results.rows import CLEAN
from iarbench.stats.attribution import Attribution, attribute
from iarbench.task import Task

if TYPE_CHECKING:
    from PIL import Image

    from iarbench.evidence import Target
    from iarbench.harness.execute import Ours
    from iarbench.harness.isolate import Isolated


@dataclass(frozen=True, slots=True)
class Traced:
    """The answer for one file; `note` says what was done to it first, "" if nothing."""

    path: str
    answer: Attribution
    note: str


@dataclass(frozen=True, slots=True)
class Tracer:
    """Targets ready to judge images, each with the calibration scores of its non-members by set."""

    targets: tuple[Target, ...]
    detectors: Mapping[str, Ours | Isolated]
    """Target -> the detector at work on it."""
    calibration: Mapping[str, Mapping[str, np.ndarray]]
    families: Mapping[str, str]
    alpha: float
    settings: Settings

    def trace(self, path: str) -> Traced:
        """Attribute one file. Raises UserError when it cannot be read or decoded."""
        image = _read(path)
        return Traced(path, self.attribute(self._scores(image)), self._note(image))

    def attribute(self, scores: Mapping[str, float]) -> Attribution:
        """The answer for one score a target. Raises UserError when the calibration set is too small for `alpha`."""
        return attribute(scores, self.calibration, families=self.families, alpha=self.alpha)

    def _scores(self, image: Image.Image) -> dict[str, float]:
        """Target -> score; targets with one tokenizer share its passes."""
        from iarbench.harness.execute import exact_threads

        with exact_threads(self.settings):
            return self._scored(image)

    def _scored(self, image: Image.Image) -> dict[str, float]:
        from iarbench.harness.execute import Ours

        evidence: dict[int, Evidence] = {}
        scores = {}
        for target in self.targets:
            tokenizer = id(target.tokenizer)
            if tokenizer not in evidence:
                evidence[tokenizer] = self._evidence(target, image)
            detector, seen = self.detectors[target.name], evidence[tokenizer]
            if isinstance(detector, Ours):
                scored = detector.score(seen, target)
            else:
                scored = detector.score(seen.images[:1], self.settings.precision)
            scores[target.name] = next(iter(scored.scores.values()))[0]
        return scores

    def _evidence(self, target: Target, image: Image.Image) -> Evidence:
        from iarbench.harness.execute import pieces, to_images

        if image.size != (target.image_size, target.image_size):
            image = Preprocess(target.image_size).image(image)
        ((piece, _),) = pieces(np.array(image)[None], self.settings, target.image_size)
        images = to_images(piece, self.settings.device)
        return Evidence(target, images, precision=self.settings.precision)

    def _note(self, image: Image.Image) -> str:
        sizes = sorted({target.image_size for target in self.targets if image.size != (target.image_size,) * 2})
        if not sizes:
            return ""
        shown = ", ".join(f"{size}x{size}" for size in sizes)
        return f"resized from {image.width}x{image.height} to {shown}: resampling weakens the traces of a generator"


def make_tracer(
    task: Task,
    encoder: str | None,
    alpha: float,
    cache: Path,
    settings: Settings,
    progress: TextIO | None = sys.stderr,
) -> Tracer:
    """Load the targets of a task and score its non-members, unless `cache` or the package has their scores.

    `task`: narrowed to one detector. `encoder`: None takes `inverse` where a target has it. `alpha`: chance of naming
    any generator for an image of none.

    Raises:
        UserError: as `iarbench.harness.run.run`; or too few calibration images for `alpha`.
    """
    from iarbench.content import images_path
    from iarbench.harness.execute import all_learnt, at_work, decide, execute, target_of
    from iarbench.harness.targets import load_targets

    settings = decide(settings)
    images = ImageSet.open(images_path(task.spec.images))
    plans = [learn(_plan(task, one, encoder, images, settings), cache, settings) for one in task.spec.targets]
    _take_shipped(plans, cache)
    todo = together(job for plan in plans for job in plan.missing(cache))
    if todo:
        with Progress("calibrating", sum(len(job.chunk.image_ids) for job in todo), stream=progress) as bar:
            execute(todo, plans[0], cache, settings, bar.advance)
    cells = [plan.jobs[0].cells[0] for plan in plans]
    targets = load_targets((cell.target for cell in cells), settings)
    learnt = all_learnt(cells, cache, settings.device)
    tracer = Tracer(
        targets=tuple(target_of(cell, targets) for cell in cells),
        detectors={cell.variant.name: at_work(cell, targets, learnt) for cell in cells},
        calibration={plan.task.spec.targets[0]: _calibration(plan, cache) for plan in plans},
        families=_families(task, cells[0].detector.kind),
        alpha=alpha,
        settings=settings,
    )
    tracer.attribute({target.name: 0.0 for target in tracer.targets})  # too few images: say so once, before any file
    return tracer


def _take_shipped(plans: Iterable[Plan], cache: Path) -> None:
    """Copy to `cache` the scores that come with the package, where they are those of exactly these parts."""
    shipped = calibration_path()
    for part in (part for plan in plans for part in plan.parts):
        if not is_stored(cache, part) and is_stored(shipped, part):
            data = (shipped / part.path).read_bytes()
            write_atomically(cache / part.path, lambda file, data=data: file.write(data))  # type: ignore[misc]


def _plan(task: Task, target: str, encoder: str | None, images: ImageSet, settings: Settings) -> Plan:
    known = encoders(variants.get(target), settings.weights_dir)
    chosen = encoder or ("inverse" if "inverse" in known else "original")
    one = task.narrowed(targets=[target], encoders=[chosen], attacks=[CLEAN])
    plan = make_plan(one, images, task.spec.images, replace(settings, limit=None))
    # its own images calibrate nothing
    plan = replace(plan, jobs=tuple(job for job in plan.jobs if job.chunk.source != target))
    if not plan.jobs:
        raise UserError(f"{task.spec.images} holds no non-members for {target}; see `iarbench images info`")
    return plan


def _calibration(plan: Plan, cache: Path) -> dict[str, np.ndarray]:
    """Scores of the parts of `pooled`: each pooled set of real images, and all other generators' images together."""
    scores = load_scores(cache, [part.path for part in plan.parts])
    first = scores[scores["score_name"] == scores["score_name"].iloc[0]]
    joined = first.merge(plan.index[["image_id", "source"]], on="image_id")
    tells = tells_siblings(plan.jobs[0].cells[0].detector.kind)
    target, task = plan.task.spec.targets[0], plan.task.result_task()
    sets = task.nonmember_sets(target, tells_siblings=tells)
    named = {name: sources for name in task.pools(target, tells_siblings=tells) for sources in sets[name]}
    found = {name: joined.loc[joined["source"].isin(sources), "score"].to_numpy() for name, sources in named.items()}
    return {name: values for name, values in found.items() if len(values)}


def _families(task: Task, kind: type[Detector]) -> dict[str, str]:
    """Generators that the detector cannot tell apart get one name, by which `attribute` takes them together."""
    if tells_siblings(kind):
        return {name: name for name in task.generators}
    return {name: " or ".join(sorted({name, *task.siblings.get(name, ())})) for name in task.generators}


def _read(path: str) -> Image.Image:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return decode_rgb(data, path)
