"""From images as a source has them to image records: decoded, treated alike, and a reason for each one left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from iarbench.images.decode import ImageError, decode, one_line
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord

_Made = TypeVar("_Made")


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

    def note(self, text: str) -> None:
        """Tell something that cost no record."""
        self.notes.append(text)

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
    admission, items = Admission(treatment, report), iter(found)
    while not admission.full and (item := next(items, None)) is not None:
        record = admission.admit(item.name, item.image_id, lambda item=item: make_record(item, name, treatment, report))  # type: ignore[misc]
        if record is not None:
            yield record


class Admission:
    """Which images of a source are taken, asked in their order: each id once, and of those that can be used the first
    `limit` after the first `skip`.

    Args:
        treatment: says so.
        report: gets a line for each that cannot be taken.
        may_repeat: whether an id, with its prefix, may occur again; those that may not need not be remembered.
    """

    def __init__(
        self, treatment: Treatment, report: ImportReport, may_repeat: Callable[[str], bool] = lambda image_id: True
    ) -> None:
        self._treatment, self._report, self._may_repeat = treatment, report, may_repeat
        self._before = treatment.skip
        self._seen: dict[str, str] = {}

    @property
    def full(self) -> bool:
        """Whether no more are wanted."""
        return self._report.imported == self._treatment.limit

    def admit(self, name: str, image_id: str, make: Callable[[], _Made]) -> _Made | None:
        """What `make` gives of the image `name` with this id, without its prefix; None where it is not taken.

        `make` raises ImageError where the image cannot be used.
        """
        image_id = self._treatment.prefix + image_id
        if image_id in self._seen:
            self._report.skip(name, f"its image id is taken already ({image_id!r}, by {self._seen[image_id]})")
            return None
        try:
            made = make()
        except ImageError as error:
            self._report.skip(error.name, error.reason)
            return None
        if self._may_repeat(image_id):
            self._seen[image_id] = name
        if self._before:
            self._before -= 1
            return None
        self._report.imported += 1
        return made


def make_record(item: FoundImage, name: str, treatment: Treatment, report: ImportReport) -> ImageRecord:
    """One image decoded and treated, as a record; arguments as for `make_records`.

    Raises:
        ImageError: it cannot be used.
    """
    for what, said, wanted in (("source", item.source, treatment.source), ("split", item.split, treatment.split)):
        if said == "" and not wanted:
            raise ImageError(item.name, f"has no {what}; give one with --{what}")
    decoded = decode(item.data, item.name)
    record = ImageRecord.make(
        item.data,
        decoded=decoded,
        image_id=treatment.prefix + item.image_id,
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
        report.note(f"{one_line(item.name)}: {decoded.frames} frames or pages, only the first is used")
    return record


def prefixed(record: ImageRecord, prefix: str, ids: frozenset[str]) -> ImageRecord:
    """The record under `prefix` + its id; so is its group if that is one of `ids`, the image ids of its set."""
    group = prefix + record.group if record.group in ids else record.group
    return replace(record, image_id=prefix + record.image_id, group=group)
