"""One pass over image sets: what is kept of every image to find out what is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from iarbench.audit.codec import compression, jpeg_quality
from iarbench.audit.perceptual import Sketch, sketch
from iarbench.errors import UserError
from iarbench.images.audit import empty_cells
from iarbench.images.image_set import ImageSet, check_record
from iarbench.images.record import ImageRecord
from iarbench.images.spread import spread
from iarbench.images.traits import grey_of
from iarbench.images.trivial import AT_MOST, OF_FILE, OF_PICTURE

Trait = float | str
NOWHERE = "(none)"
"""What stands for an empty source or split."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One image."""

    place: int
    """Which set it is in, from 0."""
    image_id: str
    source: str
    split: str
    group: str
    condition: str
    licence: str | None
    author: str | None
    page: str | None
    sha256: str
    """Of the bytes as they are."""
    size: str
    """"64 x 64"."""
    compression: str
    sketch: Sketch | None
    """None: it does not decode."""

    @property
    def part(self) -> str:
        """source/split."""
        return f"{self.source}/{self.split}"


@dataclass(frozen=True)
class Look:
    """What was seen of all sets."""

    names: tuple[str, ...]
    """What the user calls them."""
    sets: tuple[ImageSet, ...]
    images: tuple[Seen, ...]
    damage: tuple[str, ...]
    """A line for each cell, file or image that is not as it should be."""
    traits: Mapping[str, Mapping[str, Sequence[Trait]]]
    """source -> property -> its values, of at most 300 images spread over the source."""
    generated: frozenset[str]
    """Sources whose images have seeds or tokens."""


@dataclass
class _Taken:
    images: list[Seen] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    traits: dict[str, dict[str, list[Trait]]] = field(default_factory=dict)
    generated: set[str] = field(default_factory=set)


def look(names: Sequence[str], sets: Sequence[ImageSet], advance: Callable[[int], None]) -> Look:
    """Read every image of the sets once.

    Args:
        names: what the user calls the sets.
        sets: opened with `complete=False`, so that empty cells are found and not refused.
        advance: is told of every image.
    """
    taken = _Taken()
    sampled = _sampled(sets)
    for place, (name, images) in enumerate(zip(names, sets, strict=True)):
        prefix = f"{name}: " if len(sets) > 1 else ""
        taken.damage += [f"{prefix}{line}" for line in empty_cells(images.small_columns())]
        seen: set[str] = set()
        for found in images.unchecked():
            if isinstance(found, UserError):
                taken.damage.append(str(found))
                continue
            if found.image_id in seen:
                taken.damage.append(f"{prefix}{found.image_id}: this id occurs again")
            seen.add(found.image_id)
            _take(taken, place, found, prefix, (place, found.image_id) in sampled)
            advance(1)
    return Look(
        tuple(names),
        tuple(sets),
        tuple(taken.images),
        tuple(taken.damage),
        taken.traits,
        frozenset(taken.generated),
    )


def _take(taken: _Taken, place: int, record: ImageRecord, prefix: str, sampled: bool) -> None:
    problems, picture = check_record(record)
    taken.damage += [f"{prefix}{line}" for line in problems]
    source = record.source or NOWHERE
    kind = compression(record.bytes, record.format) if picture else "does not decode"
    if record.seed is not None or record.tokens is not None:
        taken.generated.add(source)
    taken.images.append(
        Seen(
            place,
            record.image_id or NOWHERE,
            source,
            record.split or NOWHERE,
            record.group or NOWHERE,
            record.condition,
            record.licence,
            record.author,
            record.page,
            hashlib.sha256(record.bytes).hexdigest(),
            f"{record.width} x {record.height}",
            kind,
            sketch(picture) if picture else None,
        )
    )
    if picture is None or not sampled:
        return
    traits = taken.traits.setdefault(source, {})
    grey = grey_of(picture)
    found: dict[str, Trait] = {name: measure(record) for name, measure in OF_FILE.items()}
    found |= {"compression": kind}
    quality = jpeg_quality(record.bytes, record.format)
    found |= {"JPEG quality": float(101 if quality is None else quality)}  # better than any: not compressed so
    found |= {name: measure(grey) for name, measure in OF_PICTURE.items()}
    for name, value in found.items():
        traits.setdefault(name, []).append(value)


def _sampled(sets: Sequence[ImageSet]) -> set[tuple[int, str]]:
    """(set, image id) of those whose properties are measured: spread over every source."""
    of_source: dict[str, list[tuple[int, str]]] = {}
    for place, images in enumerate(sets):
        columns = images.small_columns()
        for source, image_id in zip(
            columns.column("source").to_pylist(), columns.column("image_id").to_pylist(), strict=True
        ):
            of_source.setdefault(source or NOWHERE, []).append((place, image_id))
    return {one for found in of_source.values() for one in spread(found, AT_MOST)}
