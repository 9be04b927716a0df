"""Importing images, as an order: a part is a span of the source's places, and a shard of the set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.harness.launch.engine import Launch
from iarbench.harness.launch.import_lines import Line, Lines, Span, settle
from iarbench.harness.launch.order import Order
from iarbench.harness.launch.set_work import discard, finish_set, make_shards, order_for, then
from iarbench.harness.launch.worker import Work
from iarbench.images.decode import ImageError
from iarbench.images.image_set import ImageSet
from iarbench.images.importing import ImportReport, Treatment, make_record
from iarbench.images.places import Places
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord
from iarbench.images.shards import write_shard
from iarbench.images.sources import find_images


@dataclass(frozen=True)
class Import:
    """What `iarbench images import --launch` is asked for."""

    src: str
    read_as: str | None
    options: Mapping[str, Any]
    """what the source itself takes; None counts as not given"""
    treatment: Treatment
    shard: int
    """places of a part"""

    def make(
        self, out: Path, launch: Launch, progress: TextIO | None, command: str
    ) -> tuple[ImageSet | None, ImportReport]:
        """Import to the new folder `out`; None where no image could be used.

        The rows are those of an import in one process. So are the shards, except from the first place on whose image
        could not be used: one in one process moves the next images up.

        Raises:
            UserError: no such source, one that only one process can read, the place is taken, or some parts cannot be
                made; those that are there stay.
        """
        opening = Lines()
        places = _open(self.src, self.read_as, self.options, opening)[0]
        order = order_for(out, "import", self._asked(places), {}, command)
        treatment = self.treatment
        wanted = len(places) if treatment.limit is None else min(len(places), treatment.skip + treatment.limit)
        spans = list(_spans(0, min(treatment.skip, wanted), self.shard, None))
        while True:
            begun = max((span.stop for span in spans), default=0)
            shard = sum(span.shard is not None for span in spans)
            spans += _spans(begun, wanted, self.shard, shard)
            make_shards(order, [span.part(order) for span in spans], launch, "cpu", progress, "importing")
            report, kept = settle(order, spans, treatment, opening.lines)
            missing = (treatment.limit or 0) - report.imported
            if missing <= 0 or wanted == len(places):
                break
            wanted = min(len(places), wanted + 2 * missing)  # some images cannot be used: look further
        if not report.imported:
            discard(order)
            return None, report
        for file, ids in kept.items():
            _keep(file, ids)
        return finish_set(order, out), report

    def _asked(self, places: Places) -> dict[str, Any]:
        treatment = self.treatment
        return {
            "src": self.src,
            "read_as": self.read_as,
            "options": {name: value for name, value in self.options.items() if value is not None},
            "treatment": {
                "source": treatment.source,
                "split": treatment.split,
                "prefix": treatment.prefix,
                "preprocess": treatment.preprocess and treatment.preprocess.name,
            },
            "skip": treatment.skip,
            "limit": treatment.limit,
            "shard": self.shard,
            "places": places.digest(),
        }


def open_work(order: Order, device: str | None, note: Callable[[str], None]) -> Work:
    """The order of `iarbench images import` in a process."""
    return _Importing(order)


class _Importing(Work):
    def __init__(self, order: Order) -> None:
        asked = order.asked
        self.order, self.report = order, Lines()
        self.places, self.name = _open(asked["src"], asked["read_as"], asked["options"], self.report)
        if self.places.digest() != asked["places"]:
            raise UserError(
                f"{asked['src']}: its images are not those of the command; if they were changed, delete {order.place} "
                "and repeat it"
            )
        told = asked["treatment"]
        preprocess = told["preprocess"] and Preprocess.parse(told["preprocess"])
        self.treatment = Treatment(told["source"], told["split"], told["prefix"], preprocess)

    def do(self, key: str) -> None:
        span = Span.of(key)
        if all(file.exists() for file in span.files(self.order)):
            return
        lines: list[Line] = []
        self.report.lines = lines
        records = then(self._records(span, lines), lambda: write_text(span.lines_file(self.order), json.dumps(lines)))
        if (shard := span.shard_file(self.order)) is not None:
            write_shard(records, shard)
        else:
            for _ in records:
                pass

    def _records(self, span: Span, lines: list[Line]) -> Iterator[ImageRecord]:
        """The images that can be used, and of those with one id the first; a line for each image that is found."""
        taken: set[str] = set()
        for item in self.places.span(span.start, span.stop):
            line = Line(item.name, item.image_id)
            if item.image_id in taken:
                lines.append(line)
                continue
            about = ImportReport()
            try:
                record = make_record(item, self.name, self.treatment, about)
            except ImageError as error:
                lines.append(line._replace(problem=(error.name, error.reason)))
                continue
            lines.append(line._replace(notes=tuple(about.notes)))
            taken.add(item.image_id)
            yield record


def _open(src: str, read_as: str | None, options: Mapping[str, Any], report: ImportReport) -> tuple[Places, str]:
    """A source's places, and the name of the set that they are."""
    found, name = find_images(src, report, read_as=read_as, **options)
    if not isinstance(found, Places):
        raise UserError(
            f"{src}: only one process can read it, since its images come one after the other; --launch is for folders, "
            "Parquet, image sets, lists, and the folders of imagenet and coco"
        )
    return found, name


def _spans(start: int, stop: int, size: int, shard: int | None) -> Iterator[Span]:
    """Spans of `size` from `start` to before `stop`; their shards begin with number `shard`."""
    for number, first in enumerate(range(start, stop, size)):
        yield Span(first, min(stop, first + size), None if shard is None else shard + number)


def _keep(shard: Path, ids: set[str]) -> None:
    """Leave only the images with these ids in a shard, which may hold no more than them already."""
    records = (record for batch in ImageSet.open(shard).iterate() for record in batch if record.image_id in ids)
    write_shard(records, shard)
