"""Detector: a score that says how likely a target made an image."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from iarbench.errors import UserError
from iarbench.evidence import Evidence
from iarbench.fit_batch import FitBatch

if TYPE_CHECKING:
    from torch import Tensor

READS = ("tokenizer", "transformer", "gallery", "condition", "image")
"""What a detector can rest on. The transformer comes with its tokenizer; a gallery is the images of the split `fit`; a
condition is the class or prompt that an image's own generator was asked for, as far as its set says it."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
"""What detectors and their scores may be called: names stand in paths, lists and tables."""

EXPECTED = "return {name: scores}, where scores is a tensor of one finite number per image, shape (B,)"


class Detector(ABC):
    """Base of all detectors. Raise ``version`` whenever a score could change: it is part of every stored result.

    Its parameters are the arguments of ``__init__``, each annotated as bool, int, float, str or Literal and with a
    default; ``--detector ronan:steps=200,lr=0.1`` sets them, and they are part of every stored result.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[str]] = frozenset({"tokenizer"})
    """What the score rests on, out of `READS`; nothing else of the target is there to be read. A detector that reads
    the ``image`` alone depends on no weights and no encoder."""
    requires: ClassVar[frozenset[str]] = frozenset()
    """What it needs of a tokenizer, out of `Tokenizer.capabilities`."""
    uses_target: ClassVar[bool] = True
    """False for one that gives an image the same score whatever the target: it reads the image alone, or `through`."""
    learns_once: ClassVar[bool] = False
    """True for one whose `fit` gives the same whatever the target, as a gallery of all sources does: it learns once,
    for all targets, from images of every source of the task. One with ``uses_target = False`` does so anyway."""
    siblings_alike: ClassVar[bool] = False
    """True for one that learns and yet cannot tell generators apart that share a tokenizer: their images are then no
    non-members of each other, and it does not learn from them."""
    through: str | None = None
    """Generator through whose tokenizer all images are seen, whatever the target; None: through the target's own. A
    parameter may name it."""
    seconds_per_image: ClassVar[float | None] = None
    """What it costs on one core of a CPU, at the dearest of the packaged minis, as `benchmarks/bench_detectors.py`
    measures it; None where nobody has."""
    mib_per_image: ClassVar[float | None] = None
    """Memory that it takes beyond the models' at its peak, in MiB for each image of a batch; None: not measured."""
    pretrained_on: ClassVar[str] = ""
    """The benchmark images that weights it comes with were trained on, such as "iarbench-mini/fit"; "" for none. What
    it learns in a run (`fit`) need not be said."""
    weights: tuple[str, ...] = ()
    """Files that its scores depend on, relative to the folder of its own file; their content is in the key."""

    def fit(self, images: Iterable[FitBatch]) -> dict[str, Tensor]:
        """Learn from images of the split `fit`, which neither calibrate nor test anything; one call per target, or
        one for all where the detector `learns_once`.

        Args:
            images: batches of clean images, members and non-members of the target mixed, which can be gone through
                several times, always in the same order. Each is a pair: evidence, and bool (B,) that is true for
                images of the target; ``batch.sources`` and ``batch.real`` say who made them.

        Returns:
            Name -> tensor. They are stored, and come back as ``evidence.learnt`` in `score`, on the evidence's device.
        """
        raise NotImplementedError

    @abstractmethod
    def score(self, evidence: Evidence) -> dict[str, Tensor]:
        """Score name -> one score per image, (B,); higher = more likely made by the target.

        The score of an image must not depend on the others of the batch, nor on what was scored before.
        """


def fits(kind: type[Detector]) -> bool:
    """Whether the detector learns from images."""
    return kind.fit is not Detector.fit


def fits_once(kind: type[Detector]) -> bool:
    """Whether what it learns is the same for every target."""
    return kind.learns_once or not kind.uses_target


def what_it_reads(kind: type[Detector]) -> frozenset[str]:
    """``reads``, completed: a detector that learns reads a gallery, and with a transformer comes its tokenizer."""
    more = {"gallery"} if fits(kind) else set()
    return kind.reads | more | ({"tokenizer"} if "transformer" in kind.reads else set())


def reads_condition(kind: type[Detector]) -> bool:
    """Whether it is told what the images' own generators were asked for."""
    return "condition" in kind.reads


def tells_siblings(kind: type[Detector]) -> bool:
    """Whether it may tell generators apart that share a tokenizer: what it reads differs between them."""
    return kind.uses_target and not kind.siblings_alike and what_it_reads(kind) != {"tokenizer"}


@dataclass(frozen=True, slots=True)
class Scored:
    """One batch by one detector: score name -> float64 values on the CPU, and seconds per image as if run alone."""

    scores: dict[str, list[float]]
    seconds: float


def apply(detector: Detector, evidence: Evidence, owner: str | None = None) -> Scored:
    """Score a batch and check what came back; ``owner`` is what messages call the detector, by default its name.

    Raises:
        UserError: the tokenizer lacks what the detector requires, or the scores are not one finite number per image.
    """
    owner = owner or f"detector {detector.name!r}"
    if detector.requires:
        lacking = sorted(detector.requires - evidence.target.tokenizer.capabilities)
        if lacking:
            raise UserError(f"{owner} needs {', '.join(lacking)}, which {evidence.target.name} has not")
    found, seconds = evidence.timed(lambda: detector.score(evidence))
    size = len(evidence.images)
    return Scored(_checked(owner, found, size), seconds / size)


def _checked(owner: str, found: object, size: int) -> dict[str, list[float]]:
    if not isinstance(found, dict):
        raise UserError(f"{owner}: score returned {_kind(found)}; {EXPECTED}")
    if not found:
        raise UserError(f"{owner}: score returned an empty dict; {EXPECTED}")
    return {_score_name(owner, name): _values(owner, name, values, size) for name, values in found.items()}


def _score_name(owner: str, name: object) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"{owner}: {name!r} is no name for a score; use letters, digits, '.', '_' and '-'")
    return name


def _values(owner: str, name: str, values: object, size: int) -> list[float]:
    import torch

    if not isinstance(values, torch.Tensor):
        raise UserError(f"{owner}: score {name!r} is {_kind(values)}; {EXPECTED}")
    if tuple(values.shape) != (size,):
        raise UserError(
            f"{owner}: score {name!r} has shape {tuple(values.shape)} for {size} images; "
            f"return one number per image, shape ({size},)"
        )
    if values.is_complex():
        raise UserError(f"{owner}: score {name!r} holds complex numbers; {EXPECTED}")
    numbers = values.detach().cpu().double()
    if not bool(numbers.isfinite().all()):
        bad = numbers[~numbers.isfinite()]
        raise UserError(f"{owner}: score {name!r} is {bad[0].item()} for {len(bad)} of {size} images; {EXPECTED}")
    return numbers.tolist()


def _kind(value: object) -> str:
    kind = type(value)
    return "None" if value is None else f"{'an' if kind.__name__[0] in 'aeiou' else 'a'} {kind.__name__}"


def mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of two batches (B, ...) over all but the first axis, in float32: (B,)."""
    return (a.float() - b.float()).square().flatten(1).mean(1)
