"""Tracing many images into a table, as an order: a part is a batch of inputs, an output row is an image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.device import AtOnce
from iarbench.errors import UserError
from iarbench.files import cache_dir, write_atomically
from iarbench.harness.launch.order import Order, WorkPart
from iarbench.harness.launch.worker import Work
from iarbench.harness.plan import Settings
from iarbench.images.decode import ImageError, decode_rgb
from iarbench.images.inputs import Batch, Found, load_batch
from iarbench.specs import TaskRecord
from iarbench.task import Task

if TYPE_CHECKING:
    from iarbench.harness.trace import Tracer

INPUTS = "inputs.jsonl"
"""Beside order.json: a batch a line."""


def schema(targets: Sequence[str]) -> pa.Schema:
    """Columns of the table.

    `image`: path, or id in its set; `answer`: a generator, a family, or "none of them", null for an image that cannot
    be read, with its `problem`; `p_adjusted`: the smallest of `p_adjusted_TARGET`, the p-values in (0, 1] of "not made
    by it" after Holm's correction; `score_TARGET`: higher = more likely its own; `note`: what was done to the image.
    """
    numbers = [("p_adjusted", pa.float64())]
    for target in targets:
        numbers += [(f"score_{target}", pa.float64()), (f"p_adjusted_{target}", pa.float64())]
    text = pa.string()
    return pa.schema([("image", text), ("answer", text), *numbers, ("note", text), ("problem", text)])


def list_parts(place: Path, inputs: Path) -> Iterator[WorkPart]:
    """The parts of the batches in a file; a part's key says where its line begins."""
    with inputs.open("rb") as file:
        number = offset = 0
        for line in file:
            yield WorkPart(f"{number}@{offset}", load_batch(line.decode()).count, (part_name(number),))
            number, offset = number + 1, offset + len(line)


def part_name(number: int) -> str:
    """The file of a part."""
    return f"part-{number:06}.parquet"


def open_work(order: Order, device: str | None, note: Callable[[str], None]) -> Work:
    """The order of `iarbench trace --out` in a process."""
    return _Tracing(order, device, note)


class _Tracing(Work):
    def __init__(self, order: Order, device: str | None, note: Callable[[str], None]) -> None:
        from iarbench.harness.trace import make_tracer, tracer_of_run

        asked = order.asked
        settings = Settings.restored({"precision": asked["precision"], **order.how}, device)
        task = Task.restore(TaskRecord.model_validate(asked["task"]))
        encoder, alpha = asked["encoder"], asked["alpha"]
        self.tracer: Tracer = (
            tracer_of_run(Path(asked["calibration"]), task, encoder, alpha, settings)
            if asked["calibration"]
            else make_tracer(task, encoder, alpha, cache_dir() / "trace", settings, None)
        )
        self.order, self.note = order, note
        self.schema = schema([target.name for target in self.tracer.targets])
        self.at_once = AtOnce(16 if self.tracer.settings.device == "cpu" else 128, option=None)

    def do(self, key: str) -> None:
        number, offset = map(int, key.split("@"))
        path = self.order.place / part_name(number)
        if path.exists():
            return
        with (self.order.folder / INPUTS).open("rb") as file:
            file.seek(offset)
            batch = load_batch(file.readline().decode())
        rows: list[dict[str, Any]] = []
        problems: list[str] = []
        readable = _until_unreadable(batch.read(), problems)
        while some := list(islice(readable, self.at_once.size)):
            rows += self._judge(some)
            self.advance(len(some))
        table = pa.Table.from_pylist(rows, schema=self.schema)
        table = table.replace_schema_metadata({b"problem": "; ".join(problems).encode()})
        write_atomically(path, lambda file: pq.write_table(table, file))

    def _judge(self, some: Sequence[Found]) -> list[dict[str, Any]]:
        import torch

        from iarbench.harness.trace import Picture

        rows: list[dict[str, Any]] = [{"image": one.name, "problem": one.problem or None} for one in some]
        pictures: dict[int, Picture] = {}
        for place, one in enumerate(some):
            if one.data is None:
                continue
            try:
                pictures[place] = Picture(one.name, decode_rgb(one.data, one.name))
            except ImageError as error:
                rows[place]["problem"] = str(error)
        traced = None
        with suppress(torch.OutOfMemoryError):
            traced = self.tracer.trace(list(pictures.values()))
        if traced is None:
            self.at_once.halve(self.note)
            middle = len(some) // 2
            return self._judge(some[:middle]) + self._judge(some[middle:])
        for place, found in zip(pictures, traced, strict=True):
            verdicts = found.answer.verdicts
            rows[place] |= {"answer": found.answer.decision, "p_adjusted": verdicts[0].p_adjusted, "note": found.note}
            for verdict in verdicts:
                rows[place][f"score_{verdict.target}"] = verdict.score
                rows[place][f"p_adjusted_{verdict.target}"] = verdict.p_adjusted
        return rows


def _until_unreadable(images: Iterator[Found], problems: list[str]) -> Iterator[Found]:
    """The images up to where their Parquet file cannot be read any further, which goes to `problems`."""
    try:
        yield from images
    except UserError as error:
        problems.append(str(error))


@dataclass(frozen=True, slots=True)
class Summary:
    """What a table says."""

    answers: Mapping[str, int]
    """Answer -> number of images, most frequent first."""
    unreadable: int
    """Images with a problem in place of an answer."""
    problems: tuple[str, ...]
    """Files that could not be read, or not to their end."""


def join_parts(order: Order, parts: Sequence[WorkPart], targets: Sequence[str], out: Path) -> Summary:
    """Write the table from its parts, a part in memory at a time."""
    answers: Counter[str] = Counter()
    unreadable, problems = 0, []
    about = {name: value for name, value in order.asked.items() if name != "task"}
    metadata = {b"iarbench": json.dumps({**about, "task": order.asked["task"]["name"]}).encode()}

    def write(file: Any) -> None:
        nonlocal unreadable
        with pq.ParquetWriter(file, schema(targets).with_metadata(metadata)) as writer:
            for part in parts:
                table = pq.read_table(order.place / part.files[0], partitioning=None)
                if problem := (table.schema.metadata or {}).get(b"problem", b"").decode():
                    problems.append(problem)
                writer.write_table(table.replace_schema_metadata(metadata))
                counted = Counter(table.column("answer").to_pylist())
                unreadable += counted.pop(None, 0)
                answers.update(counted)

    write_atomically(out, write)
    return Summary(dict(answers.most_common()), unreadable, tuple(problems))


def write_inputs(path: Path, batches: Iterator[Batch]) -> int:
    """Write the batches, a line each; how many images they hold."""
    count = 0

    def write(file: Any) -> None:
        nonlocal count
        for batch in batches:
            file.write(batch.dump().encode() + b"\n")
            count += batch.count

    write_atomically(path, write)
    return count
