"""Attacking an image set, as an order: a part is a shard of the attacked one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from iarbench import attack as attacks
from iarbench.attack import attack_image
from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.harness.launch.order import Order
from iarbench.harness.launch.set_work import shard_name
from iarbench.harness.launch.worker import Work
from iarbench.images.decode import ImageError, encode, one_line
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.images.shards import write_shard

PROBLEMS = ".problems-*.json"
"""Files beside the shards: what was left out, and why."""


def open_work(order: Order, device: str | None, note: Callable[[str], None]) -> Work:
    """The order of `iarbench attack` in a process."""
    return _Attacking(order)


class _Attacking(Work):
    def __init__(self, order: Order) -> None:
        self.order = order
        self.attack = attacks.parse(order.asked["attack"])
        self.images = ImageSet.open(images_path(order.asked["images"]))

    def do(self, key: str) -> None:
        path = self.order.place / shard_name(int(key))
        if path.exists():
            return
        problems: list[str] = []
        about = self.order.place / PROBLEMS.replace("*", f"{int(key):05}")
        records = self._attacked(int(key), problems)
        write_shard(_then(records, lambda: write_text(about, json.dumps(problems)) if problems else None), path)

    def _attacked(self, number: int, problems: list[str]) -> Iterator[ImageRecord]:
        size = self.order.asked["shard"]
        for batch in self.images.slice(number * size, size).iterate():
            for record in batch:
                if (attacked := self._one(record, problems)) is not None:
                    yield attacked
            self.advance(len(batch))

    def _one(self, record: ImageRecord, problems: list[str]) -> ImageRecord | None:
        name = self.attack.name
        try:
            image = attack_image(self.attack, record.pil(), record.image_id)
            data = encode(image, self.order.asked["container"], record.image_id)
            return record.with_bytes(data, f"attack {name}")
        except ImageError as error:
            problems.append(str(error))
        except UserError:
            raise
        except Exception as error:  # such as a side of more than 65,500 pixels, which JPEG cannot hold
            reason = f"{name} failed ({type(error).__name__}: {error})"
            problems.append(f"{record.image_id}: {one_line(reason)}")
        return None


def _then(records: Iterator[ImageRecord], do: Callable[[], object]) -> Iterator[ImageRecord]:
    """The records, then something that has to be done before their shard is there."""
    yield from records
    do()


def problems_of(place: Path) -> list[str]:
    """What was left out, in the order of the images; the files are deleted."""
    found: list[str] = []
    for path in sorted(place.glob(PROBLEMS)):
        found += json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
    return found
