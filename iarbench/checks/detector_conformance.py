"""Whether a detector does what every detector must, one property at a time, on a few images of one target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from iarbench.detector import Detector, Scored, fits, fits_once, what_it_reads
from iarbench.errors import UserError
from iarbench.evidence import NO_ENCODER, Target
from iarbench.fit_batch import FitBatch
from iarbench.harness.isolate import Isolated

if TYPE_CHECKING:
    from iarbench.harness.choose import Choice

COUNT = 16
"""Images of each side."""

LEAST_AUROC = 0.5
"""A score that ranks the target's own images below this is the wrong way round."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a detector: whether it holds, and what was seen."""

    name: str
    holds: bool
    seen: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.holds else 'FAIL'}  {self.name:<17} {self.seen}".rstrip()


@dataclass(frozen=True, slots=True)
class Bench:
    """A target with images float32 (B, 3, H, W) in [0, 1] of its own and of others, to score and to learn from.

    ``telling``: whether a detector of any kind should tell them apart; images of a toy only show to one that reads the
    tokenizer.
    """

    target: Target
    own: Tensor
    other: Tensor
    fit_own: Tensor
    fit_other: Tensor
    real: str
    """What the set of the others is called."""
    telling: bool = True


def examine(detector: Detector, bench: Bench, owner: str | None = None, choice: Choice | None = None) -> list[Property]:
    """The properties of a detector on one bench, those after a failed one that they rest on left out.

    ``owner``: what messages call the detector; ``choice``: where it came from, if from a file.
    """
    return [one for found in passes(detector, bench, owner, choice) for one in found]


def count_passes(kind: type[Detector]) -> int:
    """How many `passes` there are over the images of a bench, unless one fails."""
    return 4 if fits(kind) else 3


def passes(
    detector: Detector, bench: Bench, owner: str | None = None, choice: Choice | None = None
) -> Iterator[list[Property]]:
    """What every pass over the images showed: one to learn, if the detector does, and three to score. Arguments as for
    `examine`.
    """
    owner = owner or f"detector {getattr(detector, 'name', type(detector).__name__)!r}"
    images = torch.cat([bench.own, bench.other])
    folder = choice.folder if choice else None
    at_work = Isolated(detector, bench.target, owner, folder)
    if fits(type(detector)):
        try:
            learnt = at_work.fit(_to_learn_from(at_work, bench))
        except UserError as error:
            yield [Property("learning", False, _without(owner, error))]
            return
        at_work = Isolated(detector, bench.target, owner, folder, learnt)
        yield []
    evidence = at_work.evidence(images, "float32")
    try:
        scored = at_work.run(evidence)
    except UserError as error:
        yield [Property("sound scores", False, _without(owner, error))]
        return
    names = ", ".join(scored.scores)
    found = [Property("sound scores", True, f"one finite number per image: {names}")]
    found.append(_of("input untouched", owner, lambda: evidence.require_unchanged(owner)))
    found.append(_of("weights untouched", owner, at_work.require_unchanged_weights))
    yield found
    last = []
    if all(one.holds for one in found):
        yield [_same_twice(at_work, images, scored, owner)]
        last = [_of("batch invariance", owner, lambda: at_work.require_scores_of_images_alone(images, "float32"))]
        last += _orientation(scored, len(bench.own), bench, type(detector))
    yield [*last, Property("cost", True, f"{1000 * scored.seconds:.1f} ms per image")]


def benches(choice: Choice, target: str | None) -> list[Bench]:
    """A toy and a packaged model, or the one ``target``; toys have no transformer.

    Raises:
        UserError: an unknown target, or one of which no images are packaged.
    """
    reads = what_it_reads(choice.kind)
    if target is not None or choice.through is not None:
        return [model_bench(target or str(choice.through), reads, choice.through)]
    model = model_bench("llamagen-mini", reads)
    toy = toy_bench(reads)
    fit_for_toy = "transformer" not in reads and (
        "tokenizer" not in reads or choice.kind.requires <= toy.target.tokenizer.capabilities
    )
    return [toy, model] if fit_for_toy else [model]


def toy_bench(reads: frozenset[str]) -> Bench:
    """Images of the toy, and smooth noise."""
    from iarbench.testing import toy_images, toy_target

    def images(seed: int, offset: int | None) -> Tensor:
        return _float(toy_images(COUNT, seed, offset))

    telling = "tokenizer" in reads
    return Bench(toy_target(), images(1, 0), images(2, None), images(3, 0), images(4, None), "noise", telling)


def model_bench(name: str, reads: frozenset[str], through: str | None = None) -> Bench:
    """Packaged images of a model, and packaged photographs, seen through it or another one.

    Raises:
        UserError: there are no images of it.
    """
    from iarbench.content import images_path
    from iarbench.harness.execute import decide
    from iarbench.harness.plan import Settings
    from iarbench.harness.targets import load_targets
    from iarbench.images.image_set import ImageSet
    from iarbench.images.preprocess import Preprocess
    from iarbench.models import variants
    from iarbench.models.weights import encoders
    from iarbench.task import Task

    variant, seen, spec = variants.get(name), variants.get(through or name), Task.load("mini").spec
    every = ImageSet.open(images_path(spec.images))
    index = every.index()
    if name not in set(index["source"]):
        known = ", ".join(sorted(set(index["source"]) - set(spec.real)))
        raise UserError(f"--target {name}: no images of it are packaged; choose one of {known}")

    def images(source: str, split: str) -> Tensor:
        ids = index["image_id"][(index["source"] == source) & (index["split"] == split)].tolist()[:COUNT]
        sized = Preprocess(seen.image_size).image
        return _float(np.stack([np.asarray(sized(record.pil())) for record in every.read(ids)]))

    encoder = "inverse" if "inverse" in encoders(seen) else "original"
    wanted = (seen, NO_ENCODER if "image" in reads else encoder, "transformer" in reads)
    (target,) = load_targets([wanted], decide(Settings(device="cpu"))).values()
    target = replace(target, name=name, family=variant.family)
    real = spec.real[0]
    return Bench(target, images(name, "test"), images(real, "test"), images(name, "fit"), images(real, "fit"), real)


def _float(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().contiguous() / 255


def _to_learn_from(at_work: Isolated, bench: Bench) -> list[FitBatch]:
    images = torch.cat([bench.fit_own, bench.fit_other])
    own = torch.arange(len(images)) < len(bench.fit_own)
    sources = tuple(bench.target.name if one else bench.real for one in own.tolist())
    told = torch.zeros_like(own) if fits_once(type(at_work.detector)) else own
    return [FitBatch(at_work.evidence(images, "float32"), told, sources, ~own)]


def _of(name: str, owner: str, check: Callable[[], None]) -> Property:
    try:
        check()
    except UserError as error:
        return Property(name, False, _without(owner, error))
    return Property(name, True, "")


def _without(owner: str, error: UserError) -> str:
    return str(error).removeprefix(owner).removeprefix(": ").strip()


def _same_twice(at_work: Isolated, images: Tensor, first: Scored, owner: str) -> Property:
    try:
        again = at_work.score(images, "float32").scores
    except UserError as error:
        return Property("determinism", False, _without(owner, error))
    changed = [name for name, values in first.scores.items() if again[name] != values]
    seen = f"{', '.join(changed)} differs when the same images are scored twice" if changed else ""
    return Property("determinism", not changed, seen)


def _orientation(scored: Scored, own: int, bench: Bench, kind: type[Detector]) -> list[Property]:
    if not bench.telling:
        return []
    found = []
    for name, values in scored.scores.items():
        area = _auroc(values[:own], values[own:])
        seen = f"{name}: AUROC {area:.2f}, {own} images of {bench.target.name} against {len(values) - own} of others"
        holds = area > LEAST_AUROC
        found.append(Property("orientation", holds, seen if holds else f"{seen}; must be higher for its own images"))
    return found


def _auroc(own: Sequence[float], other: Sequence[float]) -> float:
    a, b = np.array(own)[:, None], np.array(other)[None]
    return float(((a > b) + 0.5 * (a == b)).mean())
