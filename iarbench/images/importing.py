"""From images as a source has them to image records: decoded, treated alike, and a reason for each one left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from iarbench.images.decode import ImageError, decode, one_line
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord


@dataclass
class ImportReport:
    """What an import did: complete once its records have been consumed."""

    imported: int = 0
    """Number of records."""
    skipped: list[str] = field(default_factory=list)
    """A line "path: reason" for each file or row that gave no record."""
    by_reason: dict[str, list[str]] = field(default_factory=dict)
    """The lines of `skipped` by reason, without what differs from row to row."""
    notes: list[str] = field(default_factory=list)
    """A line for each thing that was left out of a record or found out, such as the later frames of an animation."""

    def skip(self, name: str, reason: str) -> None:
        """Count one that gives no record; what `reason` has in brackets is told, but not counted by."""
        line = f"{one_line(name)}: {one_line(reason)}"
        self.skipped.append(line)
        self.by_reason.setdefault(one_line(reason.partition(" (")[0]), []).append(line)

    def read(self, file: Path) -> bytes | None:
        """The file's bytes; None, and a line in `skipped`, where it cannot be read."""
        try:
            return file.read_bytes()
        except OSError as error:
            self.skip(str(file), f"cannot be read ({error.strerror or error})")
            return None

    def summary(self) -> str:
        """The reasons with their counts, the most frequent first: "3 x broken link; 1 x empty file"."""
        most_first = sorted(self.by_reason.items(), key=lambda found: -len(found[1]))
        return "; ".join(f"{len(lines)} x {reason}" for reason, lines in most_first)


class FoundImage(NamedTuple):
    """An image as a source has it, not yet decoded, with all that the source knows about it."""

    name: str
    """For messages: the path, or the file and row."""
    data: bytes
    """The file, as it was found."""
    image_id: str
    group: str | None = None
    """None: the image itself."""
    condition: str = ""
    path: str | None = None
    source: str | None = None
    """None: the name of the source as a whole; "": it should say, but does not."""
    split: str | None = None
    """None: "test"; "": it should say, but does not."""
    seed: int | None = None
    tokens: tuple[int, ...] | None = None
    licence: str | None = None
    author: str | None = None
    page: str | None = None
    source_sha256: str | None = None
    treatment: str | None = None
    group_is_id: bool = False
    """Whether `group` is the id of an image (its own or another's), and so gets the same prefix."""


@dataclass(frozen=True)
class Treatment:
    """What an import does to all images alike; None and "" keep what is known."""

    source: str | None = None
    """Name of the set, in place of what the source says."""
    split: str | None = None
    """Split of all images, in place of what the source says."""
    prefix: str = ""
    """Put before every image id, as it is."""
    preprocess: Preprocess | None = None
    """None keeps the original bytes."""
    limit: int | None = None
    """Stop after so many records."""
    skip: int = 0
    """Leave out so many images that could be used first: what an import with that `limit` takes."""


def make_records(
    found: Iterable[FoundImage], name: str, treatment: Treatment, report: ImportReport
) -> Iterator[ImageRecord]:
    """Decode, treat and wrap images; what cannot be decoded or stored, and ids seen before, go to the report.

    Args:
        found: the images.
        name: of the set, for images that do not say to which they belong.
        treatment: what is done to all of them.
        report: is filled while the records are consumed.
    """
    seen: dict[str, str] = {}
    before = treatment.skip
    if treatment.limit == 0:
        return
    for item in found:
        image_id = treatment.prefix + item.image_id
        if image_id in seen:
            report.skip(item.name, f"its image id is taken already ({image_id!r}, by {seen[image_id]})")
            continue
        try:
            record = _record(item, image_id, name, treatment, report)
        except ImageError as error:
            report.skip(error.name, error.reason)
            continue
        seen[image_id] = item.name
        if before:
            before -= 1
            continue
        report.imported += 1
        yield record
        if report.imported == treatment.limit:
            return


def _record(item: FoundImage, image_id: str, name: str, treatment: Treatment, report: ImportReport) -> ImageRecord:
    for what, said, wanted in (("source", item.source, treatment.source), ("split", item.split, treatment.split)):
        if said == "" and not wanted:
            raise ImageError(item.name, f"has no {what}; give one with --{what}")
    decoded = decode(item.data, item.name)
    record = ImageRecord.make(
        item.data,
        decoded=decoded,
        image_id=image_id,
        source=treatment.source or item.source or name,
        split=treatment.split or item.split or "test",
        group=treatment.prefix + item.group if item.group and item.group_is_id else item.group,
        condition=item.condition,
        seed=item.seed,
        tokens=item.tokens,
        path=item.path,
        licence=item.licence,
        author=item.author,
        page=item.page,
        source_sha256=item.source_sha256,
        treatment=item.treatment,
    )
    if treatment.preprocess:
        try:
            record = record.with_bytes(treatment.preprocess(decoded.image), treatment.preprocess.name)
        except MemoryError:
            raise ImageError(item.name, "not enough memory to bring it to size") from None
    if decoded.frames > 1:
        report.notes.append(f"{one_line(item.name)}: {decoded.frames} frames or pages, only the first is used")
    return record


def prefixed(record: ImageRecord, prefix: str, ids: frozenset[str]) -> ImageRecord:
    """The record under `prefix` + its id; so is its group if that is one of `ids`, the image ids of its set."""
    group = prefix + record.group if record.group in ids else record.group
    return replace(record, image_id=prefix + record.image_id, group=group)
