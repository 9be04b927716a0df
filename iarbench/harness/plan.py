"""What is to be computed: every (attack, chunk of images) with the parts of scores that come out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from iarbench.detector import what_it_reads
from iarbench.device import Precision
from iarbench.harness.choose import Choice
from iarbench.harness.fit import Fit
from iarbench.harness.store import Chunk, Part, is_stored
from iarbench.images.image_set import ImageSet
from iarbench.models.variants import Variant
from iarbench.task import Task

IsolatedKey = tuple[Choice, str, str]
"""(detector, generator, encoder)"""

NO_WEIGHTS = "none"
"""The weights of a target of which a detector reads nothing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to compute; only `precision` changes a score by more than rounding, and it is in every key."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""
    precision: Precision = "float32"
    batch_size: int | None = None
    """None: as many images as a CPU's caches, or a GPU of 16 GB, take at their size"""
    workers: int | None = None
    """processes that prepare images; 0: none; None: none beside a CPU run, a few beside a GPU"""
    weights_dir: Path | None = None
    """where to look for weight files first"""
    limit: int | None = None
    """only the first images of each source and split"""
    compile: bool = False
    """whether torch compiles encoder and decoder first; changes rounding only"""

    @classmethod
    def restored(cls, told: Mapping[str, Any], device: str | None) -> Settings:
        """From JSON, for a process that works on `device`; None: the one that was asked for."""
        folder = told["weights_dir"]
        settings = cls(**{**told, "weights_dir": folder and Path(folder)})
        return replace(settings, device=device or settings.device)


@dataclass(frozen=True, slots=True)
class Cell:
    """A part still to be computed, with the objects that compute it."""

    part: Part
    variant: Variant
    """The target."""
    seen: Variant
    """Whose weights are read: the target's, but for a detector that sees every image through one generator."""
    encoder: str
    """`NO_ENCODER` for a detector that reads the image alone."""
    detector: Choice
    fit: Fit | None = None
    """What the detector learns first; its outcome is part of the part's identity once it is there."""

    @property
    def target(self) -> tuple[Variant, str, bool]:
        """The variant whose weights are read, its encoder, and whether the transformer is read."""
        return self.seen, self.encoder, "transformer" in what_it_reads(self.detector.kind)

    @property
    def target_key(self) -> tuple[str, str, bool]:
        """The same by name."""
        variant, encoder, transformer = self.target
        return variant.name, encoder, transformer

    @property
    def isolated_key(self) -> IsolatedKey:
        """What one object of a user's detector is kept for."""
        return self.detector, self.variant.name, self.encoder


@dataclass(frozen=True, slots=True)
class Job:
    """Images that are decoded and attacked once, at one size, for every cell that looks at them."""

    chunk: Chunk
    attack: str
    """As the user wrote it: a worker process has to find an attack's file again."""
    image_size: int
    cells: tuple[Cell, ...]


def together(jobs: Iterable[Job]) -> list[Job]:
    """Jobs on the same images under the same attack and at the same size made one, so that these are prepared once."""
    cells: dict[tuple[Chunk, str, int], list[Cell]] = {}
    for job in jobs:
        cells.setdefault((job.chunk, job.attack, job.image_size), []).extend(job.cells)
    return [Job(*images, tuple(found)) for images, found in cells.items()]


@dataclass(frozen=True, slots=True)
class Plan:
    """All jobs of a run, done or not, and the images it is about."""

    task: Task
    images: ImageSet
    used: ImageSet
    """A view of those that the run scores."""
    index: pa.Table
    """What results need to know of them (`iarbench.images.compact`)."""
    jobs: tuple[Job, ...]
    weights: dict[str, str]
    """"target/encoder" -> weights hash."""
    notes: tuple[str, ...]
    """What the user should know about what is left out."""
    weights_dir: Path | None
    """Where attacks through a tokenizer look for its weights first."""
    set_aside: bool = False
    """Whether a file of the image set could not be read: the exit status says so in the end."""

    @property
    def parts(self) -> list[Part]:
        """Every part, in order."""
        return [cell.part for job in self.jobs for cell in job.cells]

    def missing(self, root: Path) -> list[Job]:
        """The jobs with the cells that have no valid part below `root`."""
        return still_missing(self.jobs, root)


def still_missing(jobs: Iterable[Job], root: Path) -> list[Job]:
    """The jobs with those of their cells that have no valid part below `root`."""
    todo = []
    for job in jobs:
        cells = tuple(cell for cell in job.cells if not is_stored(root, cell.part))
        if cells:
            todo.append(Job(job.chunk, job.attack, job.image_size, cells))
    return todo
