"""What a run has to compute: every (attack, chunk of images) with the parts of scores that come out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench import attack as attacks
from iarbench.detector import Detector
from iarbench.device import Precision
from iarbench.errors import UserError
from iarbench.harness.store import Chunk, Part, is_stored
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.variants import Variant
from iarbench.models.weights import encoders, weights_hash
from iarbench.registry import DETECTORS, is_file_reference
from iarbench.task import Task

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 256
"""Images a part holds at most: what a kill can cost, and what stays in memory."""


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


@dataclass(frozen=True, slots=True)
class Cell:
    """A part still to be computed, with the objects that compute it."""

    part: Part
    variant: Variant
    encoder: str
    detector: Detector


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
    index: pd.DataFrame
    """Rows of the images that the run needs."""
    jobs: tuple[Job, ...]
    weights: dict[str, str]
    """"target/encoder" -> weights hash."""
    notes: tuple[str, ...]
    """What the user should know about what is left out."""

    @property
    def parts(self) -> list[Part]:
        """Every part, in order."""
        return [cell.part for job in self.jobs for cell in job.cells]

    def missing(self, root: Path) -> list[Job]:
        """The jobs with the cells that have no valid part below `root`."""
        todo = []
        for job in self.jobs:
            cells = tuple(cell for cell in job.cells if not is_stored(root, cell.part))
            if cells:
                todo.append(Job(job.chunk, job.attack, job.image_size, cells))
        return todo


def make_plan(task: Task, images: ImageSet, image_set: str, settings: Settings) -> Plan:
    """Plan a task, narrowed to what this run is to do, over an image set that the user calls `image_set`; no torch.

    Raises:
        UserError: an unknown name, weights that cannot be had, or images that do not fit the task.
    """
    sides, notes = _sides(task, settings.weights_dir)
    detectors = [_detector(name) for name in dict.fromkeys(task.spec.detectors)]
    shared = {"image_set": image_set, "images_fingerprint": images.fingerprint}
    index = images.index()
    if twice := _repeated(index):
        raise UserError(f"image id {twice!r} occurs twice in {image_set}; ids must be unique")
    setting = {"precision": settings.precision, "preprocessing": task.spec.preprocessing}
    chunks = list(_chunks(index, settings.limit))
    jobs: list[Job] = []
    used: set[str] = set()
    for text in task.attacks_for(task.spec.attacks):
        attack = attacks.parse(text)
        acted = {"attack": attack.name, "attack_version": attack.version, **_code(text.split("+"), "attack"), **setting}
        for chunk in chunks:
            asked = [side for side in sides if task.needs(side.variant.name, chunk.source, chunk.split, attack.name)]
            used.update(chunk.image_ids if asked else ())
            for size in sorted({side.variant.image_size for side in asked}):
                cells = tuple(
                    Cell(Part({**detector.identity, **side.identity, **acted}, {**side.about, **shared}, chunk),
                         side.variant, side.encoder, detector.detector)
                    for side in asked if side.variant.image_size == size for detector in detectors
                )  # fmt: skip
                jobs.append(Job(chunk, text, size, cells))
    weights = {f"{side.variant.name}/{side.encoder}": side.identity["target_weights"] for side in sides}
    looked_at = images.filter(image_id=used)
    looked_at.require_unchanged()  # stored scores are looked up by the sha256 column
    notes += looked_at.shared_files()
    return Plan(task, images, index[index["image_id"].isin(used)], tuple(jobs), weights, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Side:
    """One target with one encoder."""

    variant: Variant
    encoder: str
    identity: dict[str, Any]
    about: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Chosen:
    detector: Detector
    identity: dict[str, Any]


def _sides(task: Task, weights_dir: Path | None) -> tuple[list[_Side], list[str]]:
    sides, notes = [], []
    for name in dict.fromkeys(task.spec.targets):
        variant = variants.get(name)
        for encoder in dict.fromkeys(task.spec.encoders):
            if encoder not in (known := encoders(variant, weights_dir)):
                notes.append(f"{name} has no {encoder} encoder, skipped; it has: {', '.join(known)}")
                continue
            weights = weights_hash(variant, encoder, weights_dir)
            identity = {"target": name, "encoder": encoder, "target_weights": weights, "image_size": variant.image_size}
            sides.append(_Side(variant, encoder, identity, {"target_family": variant.family}))
    if not sides:
        raise UserError(f"nothing to run: {'; '.join(notes)}")
    return sides, notes


def _detector(name: str) -> _Chosen:
    kind = DETECTORS.get(name)
    if not (isinstance(kind, type) and issubclass(kind, Detector)):
        raise UserError(f"{name}: not a detector; it must be a class derived from iarbench.detector.Detector")
    try:
        detector = kind()
    except TypeError as error:
        raise UserError(f"detector {name!r} cannot be made without arguments ({error})") from None
    identity = {
        "detector": detector.name,
        "detector_version": detector.version,
        "parameters": ",".join(f"{name}={value}" for name, value in sorted(detector.parameters.items())),
    }
    return _Chosen(detector, identity | _code([name], "detector"))


def _code(names: Sequence[str], what: str) -> dict[str, str]:
    """Hash of the user's own files among the names: they change more often than their author raises the version."""
    files = [Path(name.rpartition(".py:")[0] + ".py").expanduser() for name in names if is_file_reference(name)]
    if not files:
        return {}
    return {f"{what}_code": hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()}


def _chunks(index: pd.DataFrame, limit: int | None) -> Iterator[Chunk]:
    for (source, split), rows in index.groupby(["source", "split"], sort=True):
        ids, hashes = rows["image_id"].tolist()[:limit], rows["sha256"].tolist()[:limit]
        for start in range(0, len(ids), CHUNK):
            end = start + CHUNK
            yield Chunk(str(source), str(split), tuple(ids[start:end]), tuple(hashes[start:end]))


def _repeated(index: pd.DataFrame) -> str | None:
    twice = index["image_id"][index["image_id"].duplicated()]
    return None if twice.empty else str(twice.iloc[0])
