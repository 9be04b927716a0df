"""Seeing to it that every part of an order is done, tried three times at most, and saying how far it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from iarbench.errors import UserError
from iarbench.harness.launch.engine import ATTEMPTS, Engine
from iarbench.harness.launch.journal import Told, read_journals
from iarbench.harness.launch.order import Order, WorkPart, done_files
from iarbench.progress import Progress

GONE = "its process ended without a word"


class PartsFailedError(UserError):
    """Some parts were set aside; the rest is done."""

    status = 1


def undone(order: Order, parts: Sequence[WorkPart]) -> list[WorkPart]:
    """Those parts of which a file is missing."""
    there = done_files(order.place, parts)
    return [part for part in parts if not all(file in there for file in part.files)]


def carry_out(
    order: Order, parts: Sequence[WorkPart], engine: Engine, progress: TextIO | None, label: str = "scoring"
) -> None:
    """Have every part done that is not. `progress`: where to say how far it is; None: nowhere.

    Raises:
        PartsFailedError: some failed three times, or their process died so often; the rest is done.
        UserError: nobody can go on, such as on a full disk.
    """
    began = time.time()
    order.write(parts)
    todo = undone(order, parts)
    total, told = sum(part.images for part in todo), Told()
    try:
        with Progress(label, total, stream=progress) as bar:
            while todo := [part for part in todo if told.begun.get(part.key, 0) < ATTEMPTS]:
                started = engine.start(order.folder, [part.key for part in _killers_last(todo, told)])
                before = (len(todo), sum(told.begun.values()))
                notes = len(told.notes)
                while todo and engine.busy():
                    pause = time.monotonic()
                    todo = undone(order, todo)
                    if (done := total - sum(part.images for part in todo)) > bar.done or not done:
                        bar.show(done)
                    told = read_journals(order.folder, began)
                    if told.stop:
                        raise UserError(told.stop)
                    notes = _say(told.notes, notes, progress)
                    time.sleep(max(0.1, min(10.0, 10 * (time.monotonic() - pause))))
                todo, told = undone(order, parts), read_journals(order.folder, began)
                _say(told.notes, notes, progress)
                if told.stop:
                    raise UserError(told.stop)
                if started and todo and (len(todo), sum(told.begun.values())) == before:
                    raise UserError(f"no process began any part; what they wrote is below {order.folder}")
    finally:
        engine.close()
    if left := undone(order, parts):
        _refuse(order, left, told)


def _killers_last(parts: Sequence[WorkPart], told: Told) -> list[WorkPart]:
    """In order, but last what was begun and never done: it may have killed its process, and would again."""
    return sorted(parts, key=lambda part: told.begun.get(part.key, 0))


def _say(notes: Sequence[str], said: int, progress: TextIO | None) -> int:
    if progress is not None:
        progress.writelines(f"note: {note}\n" for note in notes[said:])
    return len(notes)


def _refuse(order: Order, left: Sequence[WorkPart], told: Told) -> None:
    reasons: dict[str, list[WorkPart]] = {}
    for part in left:
        reasons.setdefault(told.failed.get(part.key, [GONE])[-1], []).append(part)
    lines = [f"  {len(of)} of them, such as {of[0].files[0]}: {reason}" for reason, of in reasons.items()]
    raise PartsFailedError(
        f"{len(left)} parts failed {ATTEMPTS} times and were set aside; the rest is done, and the same command tries "
        "them again:\n" + "\n".join(lines)
    )
