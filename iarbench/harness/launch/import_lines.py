"""What became of the places of a source, told by those who imported a span of it each, and put together in its order.

Beside each shard stand its places, a line each. What only the whole order tells (ids that were there before, `--skip`,
`--limit`) is settled from these lines at the end, as an import in one process settles it while it reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from iarbench.harness.launch.order import Order, WorkPart
from iarbench.harness.launch.set_work import shard_name
from iarbench.images.decode import ImageError
from iarbench.images.importing import Admission, ImportReport, Treatment


class Line(NamedTuple):
    """What became of one image, or, without an id, what the source itself had to say."""

    name: str = ""
    image_id: str | None = None
    """Without the prefix."""
    problem: tuple[str, str] | None = None
    """name and reason"""
    notes: tuple[str, ...] = ()

    def tell(self, report: ImportReport) -> None:
        """Pass on what the source said."""
        if self.problem:
            report.skip(*self.problem)
        for note in self.notes:
            report.note(note)

    def use(self, report: ImportReport) -> bool:
        """Whether the image can be used. Raises ImageError where it cannot."""
        if self.problem:
            raise ImageError(*self.problem)
        self.tell(report)
        return True


class Lines(ImportReport):
    """A report that keeps what a source says line by line, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def skip(self, name: str, reason: str) -> None:
        self.lines.append(Line(problem=(name, reason)))

    def note(self, text: str) -> None:
        self.lines.append(Line(notes=(text,)))


@dataclass(frozen=True, slots=True)
class Span:
    """Places from `start` to before `stop`, and the number of the shard; None where its images are passed over."""

    start: int
    stop: int
    shard: int | None

    @property
    def key(self) -> str:
        """Of its part; `of` reads it."""
        return f"{self.start}-{self.stop}-{'' if self.shard is None else self.shard}"

    @classmethod
    def of(cls, key: str) -> Self:
        """The span with this key."""
        start, stop, shard = key.split("-")
        return cls(int(start), int(stop), int(shard) if shard else None)

    def lines_file(self, order: Order) -> Path:
        """Where its lines are."""
        return order.folder / "lines" / f"{self.start:012}.json"

    def shard_file(self, order: Order) -> Path | None:
        """Where its images are, if they are kept."""
        return None if self.shard is None else order.place / shard_name(self.shard)

    def files(self, order: Order) -> list[Path]:
        """All there when it is done."""
        shard = self.shard_file(order)
        return [self.lines_file(order), *([shard] if shard else [])]

    def part(self, order: Order) -> WorkPart:
        """As a part of the order."""
        names = tuple(file.relative_to(order.place).as_posix() for file in self.files(order))
        return WorkPart(self.key, self.stop - self.start, names[::-1])


def settle(
    order: Order, spans: Sequence[Span], treatment: Treatment, opening: Sequence[Line]
) -> tuple[ImportReport, dict[Path, set[str]]]:
    """The report of the whole, and which ids stay in those shards that hold more than belongs into the set."""
    report = ImportReport()
    for line in opening:
        line.tell(report)
    repeated = _repeated(order, spans, treatment.prefix)
    admission = Admission(treatment, report, lambda image_id: hash(image_id) in repeated)
    kept: dict[Path, set[str]] = {}
    for span in spans:
        lines, ids = _read(order, span), set[str]()
        for line in lines:
            if admission.full:
                break
            if line.image_id is None:
                line.tell(report)
            elif admission.admit(line.name, line.image_id, lambda line=line: line.use(report)):  # type: ignore[misc]
                ids.add(treatment.prefix + line.image_id)
        usable = {line.image_id for line in lines if line.image_id is not None and not line.problem}
        if (file := span.shard_file(order)) is not None and len(ids) < len(usable):
            kept[file] = ids
    return report, kept


def _repeated(order: Order, spans: Sequence[Span], prefix: str) -> set[int]:
    """The hashes of ids that occur more than once: those of all ids would not fit into memory as text."""
    ids = (prefix + line.image_id for span in spans for line in _read(order, span) if line.image_id is not None)
    hashes = np.sort(np.fromiter((hash(image_id) for image_id in ids), np.int64))
    return set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())


def _read(order: Order, span: Span) -> list[Line]:
    return [
        Line(name, image_id, problem and tuple(problem), tuple(notes))
        for name, image_id, problem, notes in json.loads(span.lines_file(order).read_text(encoding="utf-8"))
    ]
