"""Tracing images: their scores by every target against the scores of known images.

Images of all splits calibrate: nothing of the set is evaluated here, and an answer at a small error over many targets
needs many. As in results, the images of all other generators are one set for the answer about one image; for what many
images say together each is a set of its own, since a folder may hold one generator's images alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

import numpy as np

from iarbench.detector import Detector, fits, reads_condition, tells_siblings
from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.harness.choose import Choice, choose_all
from iarbench.harness.known_scores import KnownScores, bare_cell, expected_known, known_of_run, plan_known, read_known
from iarbench.harness.learn import learn
from iarbench.harness.plan import Plan, Settings, together
from iarbench.harness.reuse import take_parts
from iarbench.images.image_set import ImageSet
from iarbench.images.preprocess import Preprocess
from iarbench.progress import Progress
from iarbench.stats.attribution import Attribution, attribute, holm
from iarbench.stats.set_level import SetVerdict, judge
from iarbench.task import Task

if TYPE_CHECKING:
    from PIL import Image

    from iarbench.evidence import Target
    from iarbench.harness.isolate import Isolated
    from iarbench.harness.ready import Ours


class Picture(NamedTuple):
    """A picture to trace, in RGB."""

    path: str
    image: Image.Image


@dataclass(frozen=True, slots=True)
class Traced:
    """The answer for one file, the score by every target that it rests on, and what was done to the file first ("" if
    nothing)."""

    path: str
    answer: Attribution
    scores: Mapping[str, float]
    note: str


@dataclass(frozen=True, slots=True)
class Together:
    """What many images say about one target, or about a family that cannot be told apart. `p_adjusted`: that of "none
    is from it", after Holm's correction over all of them."""

    name: str
    verdict: SetVerdict
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Tracer:
    """Targets ready to judge images, each with its scores of known images."""

    targets: tuple[Target, ...]
    detectors: Mapping[str, Ours | Isolated]
    """Target -> the detector at work on it."""
    known: Mapping[str, KnownScores]
    families: Mapping[str, str]
    alpha: float
    settings: Settings

    def trace(self, pictures: Sequence[Picture]) -> list[Traced]:
        """Attribute every picture; none changes the answer for another."""
        from iarbench.harness.batches import exact_threads

        if not pictures:
            return []
        with exact_threads(self.settings):
            columns = self._scored([picture.image for picture in pictures])
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return [
            Traced(picture.path, self.attribute(row), row, self._note(picture.image))
            for picture, row in zip(pictures, rows, strict=True)
        ]

    def attribute(self, scores: Mapping[str, float]) -> Attribution:
        """The answer for one score a target. Raises UserError when the calibration set is too small for `alpha`."""
        calibration = {target: known.sets for target, known in self.known.items()}
        return attribute(scores, calibration, families=self.families, alpha=self.alpha)

    def together(self, found: Sequence[Traced]) -> list[Together]:
        """What images say together, in an order that does not depend on their scores; the most likely target first."""
        verdicts: dict[str, SetVerdict] = {}
        for target, known in self.known.items():
            family = self.families.get(target, target)
            if family not in verdicts:
                scores = [traced.scores[target] for traced in found]
                verdicts[family] = judge(scores, list(known.members.values()), list(known.sources.values()))
        adjusted = holm({name: verdict.p_anytime for name, verdict in verdicts.items()})
        answers = [Together(name, verdict, adjusted[name]) for name, verdict in verdicts.items()]
        return sorted(answers, key=lambda answer: (-answer.verdict.log10_e, answer.name))

    def _scored(self, images: Sequence[Image.Image]) -> dict[str, list[float]]:
        """Target -> scores; targets with one tokenizer share its passes."""
        from iarbench.harness.batches import pieces, to_images

        scores: dict[str, list[float]] = {target.name: [] for target in self.targets}
        for same in _sharing(self.targets):
            size = same[0].image_size
            pixels = np.stack([np.asarray(_sized(image, size)) for image in images])
            for piece, count in pieces(pixels, self.settings, size):
                batch = to_images(piece, self.settings.device)
                evidence = Evidence(same[0], batch, precision=self.settings.precision)
                for target in same:
                    scores[target.name] += self._by(target, evidence, count)[:count]
        return scores

    def _by(self, target: Target, evidence: Evidence, count: int) -> list[float]:
        from iarbench.harness.ready import Ours

        detector = self.detectors[target.name]
        if isinstance(detector, Ours):
            scored = detector.score(evidence, target)
        else:
            scored = detector.score(evidence.images[:count], self.settings.precision)
        return next(iter(scored.scores.values()))

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
    progress: TextIO | None = None,
    *,
    members: bool = False,
) -> Tracer:
    """Load the targets of a task and score its non-members, unless `cache` or the package has their scores.

    `task`: narrowed to one detector. `encoder`: None takes `inverse` where a target has it. `alpha`: chance of naming
    any generator for an image of none. `members`: score the targets' own images as well, from which `Tracer.together`
    knows how many of them are found.

    Raises:
        UserError: as `iarbench.harness.run.run`; or too few calibration images for `alpha`.
    """
    from iarbench.harness.execute import decide
    from iarbench.harness.ready import all_learnt, at_work, target_of
    from iarbench.harness.targets import load_targets

    settings = decide(settings)
    plans = calibrate(task, encoder, cache, settings, progress, members=members, alpha=alpha)
    cells = [plan.jobs[0].cells[0] for plan in plans]
    targets = load_targets((cell.target for cell in cells), settings)
    learnt = all_learnt(cells, cache, settings.device)
    return Tracer(
        targets=tuple(target_of(cell, targets) for cell in cells),
        detectors={cell.variant.name: at_work(cell, targets, learnt) for cell in cells},
        known={plan.task.spec.targets[0]: read_known(plan, cache) for plan in plans},
        families=_families(task, cells[0].detector.kind),
        alpha=alpha,
        settings=settings,
    )


def calibrate(
    task: Task,
    encoder: str | None,
    cache: Path,
    settings: Settings,
    progress: TextIO | None,
    *,
    members: bool = False,
    alpha: float | None = None,
) -> list[Plan]:
    """See that `cache` has the scores of known images for every target; without torch where it, or the package, has.

    Raises:
        UserError: as `make_tracer`.
    """
    from iarbench.content import calibration_path, images_path

    _the_detector(task)
    images = ImageSet.open(images_path(task.spec.images))
    planned = [plan_known(task, target, encoder, images, settings, members) for target in task.spec.targets]
    if alpha is not None:  # too few images for it: said before anything is scored
        sets = {plan.task.spec.targets[0]: expected_known(plan).sets for plan in planned}
        families = _families(task, planned[0].jobs[0].cells[0].detector.kind)
        attribute(dict.fromkeys(sets, 0.0), sets, families=families, alpha=alpha)
    plans = [learn(plan, cache, settings) for plan in planned]
    for plan in plans:
        take_parts(plan, cache, calibration_path())
    if todo := together(job for plan in plans for job in plan.missing(cache)):
        from iarbench.harness.execute import decide, execute

        with Progress("calibrating", sum(len(job.chunk) for job in todo), stream=progress) as bar:
            execute(todo, plans[0], cache, decide(settings), bar.advance)
    return plans


def tracer_of_run(root: Path, task: Task, encoder: str | None, alpha: float, settings: Settings) -> Tracer:
    """Targets ready to judge images by the scores that a finished run has stored; its images are not needed.

    `task`: the run's, narrowed to one detector, which learns nothing.

    Raises:
        UserError: the run lacks scores, has too few for `alpha`, or the detector learns.
    """
    from iarbench.harness.execute import decide
    from iarbench.harness.ready import at_work, target_of
    from iarbench.harness.targets import load_targets

    settings = decide(settings)
    choice = _the_detector(task)
    if fits(choice.kind):
        raise UserError(
            f"--calibration: {choice.owner} learns, and a run keeps what it learnt for its own images alone"
        )
    cells = [bare_cell(choice, target, encoder, settings.weights_dir) for target in task.spec.targets]
    targets = load_targets((cell.target for cell in cells), settings)
    known = {
        cell.variant.name: known_of_run(
            root, task, cell.variant.name, cell.encoder, choice, targets[cell.target_key].weights_hash
        )
        for cell in cells
    }
    tracer = Tracer(
        targets=tuple(target_of(cell, targets) for cell in cells),
        detectors={cell.variant.name: at_work(cell, targets, {}) for cell in cells},
        known=known,
        families=_families(task, choice.kind),
        alpha=alpha,
        settings=settings,
    )
    tracer.attribute({target.name: 0.0 for target in tracer.targets})
    return tracer


def _the_detector(task: Task) -> Choice:
    """The one detector of a task.

    Raises:
        UserError: it is told what generators were asked for, and of traced images nobody knows it.
    """
    (choice,) = choose_all(task.spec.detectors)
    if reads_condition(choice.kind):
        raise UserError(
            f"{choice.owner} is told the classes and prompts of known images, and nobody knows those of a picture "
            "to be traced; choose another one"
        )
    return choice


def _families(task: Task, kind: type[Detector]) -> dict[str, str]:
    """Generators that the detector cannot tell apart get one name, by which `attribute` takes them together."""
    if tells_siblings(kind):
        return {name: name for name in task.generators}
    return {name: " or ".join(sorted({name, *task.siblings.get(name, ())})) for name in task.generators}


def _sharing(targets: Sequence[Target]) -> list[list[Target]]:
    """The targets, those with one tokenizer together."""
    found: dict[int, list[Target]] = {}
    for target in targets:
        found.setdefault(id(target.tokenizer), []).append(target)
    return list(found.values())


def _sized(image: Image.Image, size: int) -> Image.Image:
    return image if image.size == (size, size) else Preprocess(size).image(image)
