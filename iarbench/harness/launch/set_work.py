"""Image sets that are made shard by shard: the shards lie in a hidden folder beside the set until all are there.

`.NAME.unfinished/` becomes `NAME` in one rename, so that nobody meets half a set; the same command goes on with the
shards that are missing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from iarbench.errors import UserError
from iarbench.files import remove_leftovers, write_text
from iarbench.harness.launch.engine import Launch
from iarbench.harness.launch.journal import Journal
from iarbench.harness.launch.order import FOLDER, Order, WorkPart
from iarbench.harness.launch.rounds import carry_out, undone
from iarbench.harness.launch.status import hidden_place
from iarbench.harness.launch.worker import open_here
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.images.shards import require_free
from iarbench.progress import Progress


def order_for(out: Path, kind: str, asked: Mapping[str, Any], how: Mapping[str, Any], command: str) -> Order:
    """The order to make the image set `out`.

    Raises:
        UserError: `out` is taken, or another command left something unfinished there.
    """
    require_free(out)
    order = Order.here(hidden_place(out), kind, asked, how, command)
    require_ours(order)
    return order


def require_ours(order: Order) -> None:
    """Raise UserError when the place of an order holds shards of another one."""
    there = list((order.place / FOLDER).glob("*/order.json"))
    if there and order.folder / "order.json" not in there and any(order.place.glob("*.parquet")):
        raise UserError(f"{order.place} holds what another command left unfinished; delete it, or choose another --out")


def shards(count: int, size: int) -> list[WorkPart]:
    """The parts of a set of `count` images; a part's key is its number."""
    return [
        WorkPart(str(number), min(size, count - start), (shard_name(number),))
        for number, start in enumerate(range(0, count, size))
    ]


def shard_name(number: int) -> str:
    """Its file."""
    return f"part-{number:05}.parquet"


def then(records: Iterator[ImageRecord], do: Callable[[], object]) -> Iterator[ImageRecord]:
    """The records, then something that has to be done before their shard is there."""
    yield from records
    do()


def make_shards(
    order: Order, parts: Sequence[WorkPart], launch: Launch | None, device: str, progress: TextIO | None, label: str
) -> None:
    """Make the shards that are missing, in this process or where `launch` says.

    Raises:
        UserError: some cannot be made; those that are there stay.
    """
    remove_leftovers(order.place)
    if launch is not None:
        carry_out(order, parts, launch.make(device), progress, label)
        return
    work = open_here(order, None, lambda text: print(f"note: {text}", file=sys.stderr))
    order.write(parts)
    todo = undone(order, parts)
    total = sum(part.images for part in parts)
    done = total - sum(part.images for part in todo)
    with Journal(order.folder) as journal, Progress(label, total, done, stream=progress) as bar:
        work.advance = bar.advance
        for part in todo:
            journal.begin(part.key)
            work.do(part.key)


def finish_set(order: Order, out: Path, name: str = "", origin: Mapping[str, Any] | None = None) -> ImageSet:
    """Give the set its name, with `origin`, if there is any, beside it as `name`, and open it.

    Raises:
        UserError: there is not one image, or `out` is taken by now.
    """
    for unfinished in order.place.glob(".*.tmp"):  # of processes that outlived a killed command for a moment
        unfinished.unlink(missing_ok=True)
    for shard in sorted(order.place.glob("*.parquet")):
        if not _rows(shard):
            shard.unlink()
    if not any(order.place.glob("*.parquet")):
        discard(order)
        raise UserError(f"{out}: there are no images to write")
    if origin is not None:
        write_text(order.place / name, json.dumps(origin, indent=1) + "\n")
    order.remove()
    require_free(out)
    os.replace(order.place, out)
    return ImageSet.open(out)


def discard(order: Order) -> None:
    """Delete a set of which nothing is to be kept."""
    shutil.rmtree(order.place, ignore_errors=True)


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)
