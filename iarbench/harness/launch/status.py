"""How far a piece of work is, read from its folder alone: from any machine that sees it, while it runs and after."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iarbench.harness.launch.engine import ATTEMPTS
from iarbench.harness.launch.journal import read_journals
from iarbench.harness.launch.order import FOLDER, done_files, read_order, read_parts

WINDOW = 600.0
"""Seconds back over which the speed is measured."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process at work."""

    process: str
    """machine and process id"""
    part: str
    """the first file of the part that it began last; "" before the first"""


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong at parts that are not done."""

    reason: str
    parts: int
    first: str
    set_aside: int
    """how many of them were tried three times"""


@dataclass(frozen=True, slots=True)
class Status:
    """One piece of work. Parts and images count once, however many attempts they took."""

    command: str
    parts: int
    parts_done: int
    images: int
    images_done: int
    """of parts that are whole"""
    running: tuple[Running, ...]
    failed: tuple[Failure, ...]
    notes: tuple[str, ...]
    stopped: str
    """why nobody can go on; "" for nothing"""
    images_per_second: float | None
    """over the last ten minutes of work; None before the first part is done"""
    seconds_left: float | None

    @property
    def is_done(self) -> bool:
        """Whether every part is there."""
        return self.parts_done == self.parts

    def dump(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def under_way(path: Path) -> list[Status]:
    """What fills `path`, the --out of a command: a run's folder, or what is about to be written there; oldest first.

    Raises:
        UserError: it cannot be read.
    """
    orders = [order for place in (path, hidden_place(path)) for order in (place / FOLDER).glob("*/order.json")]
    return [read_status(order.parent) for order in sorted(orders, key=lambda order: order.stat().st_mtime)]


def hidden_place(out: Path) -> Path:
    """Where the parts of what will be called `out` are kept until all are there."""
    return out.parent / f".{out.name}.unfinished"


def read_status(folder: Path) -> Status:
    """The status of the order in a folder. Raises UserError when it cannot be read."""
    order, parts = read_order(folder), list(read_parts(folder))
    began = (folder / "order.json").stat().st_mtime
    there = done_files(order.place, parts)
    done = [part for part in parts if all(file in there for file in part.files)]
    left = {part.key: part for part in parts if not all(file in there for file in part.files)}
    told = read_journals(folder, began)
    failures: dict[str, list[str]] = {}
    for key, reasons in told.failed.items():
        if key in left:
            failures.setdefault(reasons[-1], []).append(key)
    ended = [(max(there[file] for file in part.files), part.images) for part in done]
    speed = _speed([(when, images) for when, images in ended if when >= began], began)
    remaining = sum(part.images for part in left.values())
    names = {part.key: part.files[0] for part in parts}
    return Status(
        command=order.command,
        parts=len(parts),
        parts_done=len(done),
        images=sum(part.images for part in parts),
        images_done=sum(part.images for part in done),
        running=tuple(Running(process, names.get(key, "")) for process, key in sorted(told.running.items())),
        failed=tuple(
            Failure(reason, len(keys), names[keys[0]], sum(told.begun.get(key, 0) >= ATTEMPTS for key in keys))
            for reason, keys in failures.items()
        ),
        notes=tuple(dict.fromkeys(told.notes)),
        stopped=told.stop,
        images_per_second=speed,
        seconds_left=remaining / speed if speed else None,
    )


def _speed(ended: Sequence[tuple[float, int]], began: float) -> float | None:
    """Images a second of the parts that ended in the last `WINDOW` before now, or before the last one ended."""
    if not ended:
        return None
    last = max(when for when, _ in ended)
    now = min(time.time(), last + WINDOW)
    start = max(began, now - WINDOW)
    images = sum(count for when, count in ended if when >= start)
    return images / max(now - start, 1e-3) if images else None
