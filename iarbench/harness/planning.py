"""From a task and an image set to a plan: which detector scores which images for which target, and by what key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iarbench import attack as attacks
from iarbench.detector import fits, reads_condition
from iarbench.errors import UserError
from iarbench.evidence import NO_ENCODER
from iarbench.harness.asked import Told, told_of
from iarbench.harness.choose import Choice, choose_all
from iarbench.harness.fit import Fit, plan_fit
from iarbench.harness.plan import NO_WEIGHTS, Cell, Job, Plan, Settings
from iarbench.harness.store import Chunk, Part
from iarbench.images.compact import Places, where
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.models.variants import Variant
from iarbench.models.weights import encoders, weights_hash
from iarbench.registry import ATTACKS
from iarbench.task import Task

CHUNK = 256
"""Images a part holds at most: what a kill can cost, and what stays in memory."""
MANY, LARGE_CHUNK = 2**16, 2**12
"""From so many images of a source and split on, a part holds more: their number must not grow as the images do."""


def make_plan(task: Task, images: ImageSet, image_set: str, settings: Settings, *, hashed: bool = True) -> Plan:
    """Plan a task, narrowed to what this run is to do, over an image set that the user calls `image_set`; no torch.

    `hashed`: read and hash every image first, since stored scores are looked up by the sha256 that the set states;
    without it only those are hashed that are scored, when they are read.

    Raises:
        UserError: an unknown name, weights that cannot be had, or images that do not fit the task.
    """
    chosen = choose_all(task.spec.detectors)
    sides, notes = _sides(task, chosen, settings.weights_dir)
    shared = {"image_set": image_set, "images_fingerprint": images.fingerprint}
    index = images.compact_columns()
    if twice := images.repeated():
        raise UserError(f"image id {twice!r} occurs twice in {image_set}; ids must be unique")
    setting = {"precision": settings.precision, "preprocessing": task.spec.preparation.name}
    looks = [_look(choice, side, task, images, index, setting) for side in sides for choice in side.detectors]
    splits = [(source, split, where(index, source=source, split=split)) for source, split in images.counts()]
    jobs: list[Job] = []
    used = np.zeros(len(images), dtype=bool)
    # One object for all attacks: ids and hashes of a large set fill the memory otherwise.
    chunks: dict[tuple[str, str, int | None], list[Chunk]] = {}
    for text in task.attacks_for(task.spec.attacks):
        attack = attacks.parse(text, settings.weights_dir)
        acted = {"attack": attack.name, "attack_version": attack.version, **_attack_code(text)}
        acted = {**acted, **attack.depends_on(), **setting}
        for source, split, places in splits:
            asked = [look for look in looks if task.needs(look.name, source, split, attack.name)]
            for (most, size), some in _alike(asked, task, source).items():
                if (source, split, most) not in chunks:
                    taken = _first(index, places[: settings.limit], most)
                    used[taken] = True
                    chunks[source, split, most] = _chunks(source, split, index, taken)
                cells = [look.cells(acted, shared, chunks[source, split, most]) for look in some]
                jobs += [
                    Job(chunk, text, size, tuple(each))
                    for chunk, each in zip(chunks[source, split, most], zip(*cells, strict=True), strict=True)
                ]
    weights = {side.label: side.identity["target_weights"] for side in sides if side.encoder != NO_ENCODER}
    learnt_from = {image_id for look in looks if look.fit is not None for image_id in look.fit.image_ids}
    needed = used.copy()
    needed[images.places(sorted(learnt_from))] = True
    looked_at = images.take(np.flatnonzero(needed))
    if hashed:
        looked_at.require_unchanged()
    notes += looked_at.shared_files()
    ours = images.take(np.flatnonzero(used))
    notes = list(dict.fromkeys(notes))
    return Plan(task, images, ours, ours.compact_columns(), tuple(jobs), weights, tuple(notes), settings.weights_dir)


@dataclass(frozen=True, slots=True)
class _Side:
    """One target with one encoder, and the detectors that look at it so."""

    variant: Variant
    seen: Variant
    encoder: str
    transformer: bool
    identity: dict[str, Any]
    detectors: list[Choice]

    @property
    def label(self) -> str:
        return f"{self.seen.name}/{self.encoder}{'+transformer' if self.transformer else ''}"


@dataclass(frozen=True, slots=True)
class _Look:
    """One detector at one target."""

    detector: Choice
    side: _Side
    fit: Fit | None
    told: Told | None

    @property
    def name(self) -> str:
        return self.side.variant.name

    def cells(self, acted: dict[str, Any], shared: dict[str, Any], chunks: Iterable[Chunk]) -> list[Cell]:
        """One for each chunk; what all of them say of themselves is one object, unless the detector is told more."""
        identity = {**self.detector.identity, **self.side.identity, **acted}
        if self.fit is not None:
            identity["fit"] = self.fit.key
        about = {"target_family": self.side.variant.family, **shared}
        side = self.side
        return [
            Cell(Part(own, about, chunk), side.variant, side.seen, side.encoder, self.detector, self.fit)
            for chunk in chunks
            for own in [identity if self.told is None else identity | self.told(chunk.image_ids)]
        ]


def _look(choice: Choice, side: _Side, task: Task, images: ImageSet, index: pa.Table, setting: dict[str, Any]) -> _Look:
    told = partial(told_of, images, side.seen) if reads_condition(choice.kind) else None
    fit = None
    if fits(choice.kind):
        fit = plan_fit(choice, side.seen, side.encoder, side.identity, task, index, setting, told)
    return _Look(choice, side, fit, told)


def _sides(task: Task, chosen: list[Choice], weights_dir: Path | None) -> tuple[list[_Side], list[str]]:
    """Every target once for all detectors that read the same of it."""
    sides: list[_Side] = []
    notes: list[str] = []
    alone = [choice for choice in chosen if "image" in choice.kind.reads]
    with_transformer = [choice for choice in chosen if "transformer" in choice.kind.reads]
    with_tokenizer = [choice for choice in chosen if choice not in alone and choice not in with_transformer]
    # None: through the target itself
    views = dict.fromkeys(choice.through for choice in (*with_tokenizer, *with_transformer))
    for name in dict.fromkeys(task.spec.targets):
        variant = variants.get(name)
        if alone:
            size = {"target": name, "image_size": variant.image_size}
            identity = {**size, "encoder": NO_ENCODER, "target_weights": NO_WEIGHTS}
            sides.append(_Side(variant, variant, NO_ENCODER, False, identity, alone))
        for view, encoder in product(views, dict.fromkeys(task.spec.encoders)):
            seen = variants.get(view or name)
            if encoder not in (known := encoders(seen, weights_dir)):
                notes.append(f"{seen.name} has no {encoder} encoder, skipped; it has: {', '.join(known)}")
                continue
            for transformer, every in ((False, with_tokenizer), (True, with_transformer)):
                if detectors := [choice for choice in every if choice.through == view]:
                    weights = weights_hash(seen, encoder, weights_dir, transformer=transformer)
                    size = {"target": name, "image_size": seen.image_size}
                    identity = {**size, "encoder": encoder, "target_weights": weights}
                    if transformer:
                        identity["conditions"] = _conditions(seen)
                    sides.append(_Side(variant, seen, encoder, transformer, identity, detectors))
    if not sides:
        raise UserError(f"nothing to run: {'; '.join(notes)}")
    return sides, notes


def _conditions(variant: Variant) -> str:
    """Digest of the classes or prompts that a transformer can be asked with: prompts are no part of its weights."""
    known = [variant.conditions, *variant.every_condition]
    return hashlib.sha256(json.dumps(known).encode("utf-8", "surrogatepass")).hexdigest()


def _attack_code(text: str) -> dict[str, str]:
    """Digest of the code of an attack's steps that are not ours: it changes more often than its version is raised."""
    names = [step.strip() for step in text.split("+")]
    plain = [name if ".py:" in name else re.split(r"[^A-Za-z_-]", name, maxsplit=1)[0] for name in names]
    digests = [code.digest for code in map(ATTACKS.code, plain) if code is not None]
    return {"attack_code": hashlib.sha256("".join(digests).encode()).hexdigest()} if digests else {}


def _alike(looks: Iterable[_Look], task: Task, source: str) -> dict[tuple[int | None, int], list[_Look]]:
    """Looks at images of one source by what is the same for several: how many of the images, and at what size."""
    found: dict[tuple[int | None, int], list[_Look]] = {}
    for look in sorted(looks, key=lambda look: look.side.seen.image_size):
        found.setdefault((task.at_most(look.name, source), look.side.seen.image_size), []).append(look)
    return found


def _first(index: pa.Table, places: Places, most: int | None) -> Places:
    """The places of at most so many images, the first by id."""
    if most is None:
        return places
    order = pc.sort_indices(index.column("image_id").take(pa.array(places)))
    return places[order.to_numpy()[:most]]


def _chunks(source: str, split: str, index: pa.Table, places: Places) -> list[Chunk]:
    size = CHUNK if len(places) < MANY else LARGE_CHUNK
    return [Chunk(source, split, index, places[at : at + size]) for at in range(0, len(places), size)]
