"""Attacking an image set, as an order: a part is a shard of the attacked one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from iarbench import attack as attacks
from iarbench.attack import Attack, attack_image
from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.harness.launch.engine import Launch
from iarbench.harness.launch.order import Order
from iarbench.harness.launch.set_work import finish_set, make_shards, order_for, shard_name, shards, then
from iarbench.harness.launch.worker import Work
from iarbench.images.decode import ImageError, encode, one_line
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.images.shards import write_shard

PROBLEMS = ".problems-*.json"
"""Files beside the shards: what was left out, and why."""
ORIGIN = "attack.json"
"""Beside the shards of a set that is whole: what it was made from, and which images were left out and why."""


class Attacked:
    """The image set that one attack leaves of another set.

    Args:
        out: its folder.
        attack: as the user wrote it.
        about: the clean images, for `ORIGIN`.
        container: file format of the images.
        weights_dir: where attacks through a tokenizer look for its weights first.

    Raises:
        UserError: no such attack, or its weights cannot be had.
    """

    def __init__(
        self, out: Path, attack: str, about: Mapping[str, str], container: str, weights_dir: Path | None
    ) -> None:
        self.out = out
        self.attack: Attack = attacks.parse(attack, weights_dir)
        self._text, self._weights_dir = attack, weights_dir
        version = {"attack": self.attack.name, "attack_version": self.attack.version}
        self.origin = {**about, **version, **self.attack.depends_on(), "container": container}

    def is_there(self) -> bool:
        """Whether the set is whole already. Raises UserError when something else has its place."""
        if not self.out.exists() or not any(self.out.iterdir()):
            return False
        try:
            found = json.loads((self.out / ORIGIN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {}
        found.pop("left_out", None)
        if found != self.origin:
            raise UserError(f"{self.out} holds something else than this attack of these images; choose another --out")
        return True

    def make(
        self, images: int, shard: int, launch: Launch | None, progress: TextIO | None, label: str, command: str
    ) -> None:
        """Make the shards that are missing of a set of that many images, and give the set its name.

        Raises:
            UserError: the place is taken, or some shards cannot be made; those that are there stay.
        """
        asked = {**self.origin, "attack": self._text, "shard": shard}
        how = {"weights_dir": self._weights_dir and str(self._weights_dir)}
        order = order_for(self.out, "attack", asked, how, command)
        make_shards(order, shards(images, shard), launch, "cpu", progress, label)
        finish_set(order, self.out, ORIGIN, {**self.origin, "left_out": _problems_of(order.place)})

    def report(self) -> dict[str, Any]:
        """Of the set that is there: its folder, how many images it has, which were left out, its fingerprint."""
        written = ImageSet.open(self.out)
        left_out = json.loads((self.out / ORIGIN).read_text(encoding="utf-8"))["left_out"]
        found = {"folder": self.out.name, "images": len(written), "left_out": left_out}
        return {**found, "fingerprint": written.fingerprint}


def require_no_set(folder: Path) -> None:
    """Raise UserError when a folder for several sets is an image set itself."""
    if any(folder.glob("*.parquet")):
        raise UserError(f"{folder} is an image set; several attacks need a folder for their sets: choose another --out")


def open_work(order: Order, device: str | None, note: Callable[[str], None]) -> Work:
    """The order of `iarbench attack` in a process."""
    return _Attacking(order)


class _Attacking(Work):
    def __init__(self, order: Order) -> None:
        self.order = order
        folder = order.how["weights_dir"]
        self.attack = attacks.parse(order.asked["attack"], folder and Path(folder))
        self.images = ImageSet.open(images_path(order.asked["images"]))

    def do(self, key: str) -> None:
        path = self.order.place / shard_name(int(key))
        if path.exists():
            return
        problems: list[str] = []
        about = self.order.place / PROBLEMS.replace("*", f"{int(key):05}")
        records = self._attacked(int(key), problems)
        write_shard(then(records, lambda: write_text(about, json.dumps(problems)) if problems else None), path)

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


def _problems_of(place: Path) -> list[str]:
    """What was left out, in the order of the images; the files are deleted."""
    found: list[str] = []
    for path in sorted(place.glob(PROBLEMS)):
        found += json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
    return found
