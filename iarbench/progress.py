"""How far a piece of work is: one line that renews itself in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Self, TextIO, TypeVar

EVERY = 5.0
"""Seconds between plain lines."""

_Item = TypeVar("_Item")


class Progress:
    """Counts ``unit``; leaves the terminal clean when the count is complete, or as a context manager in any case.

    Args:
        label: what is being done.
        total: how many units there are; None where only the time that is left is known.
        start: how many of them an earlier run has done; they count as done, not as fast.
        unit: what is counted.
        stream: where to write; None writes nothing.
        patience: seconds in which nothing is written, so that what is soon over says nothing.
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        start: int = 0,
        unit: str = "images",
        stream: TextIO | Literal["stderr"] | None = "stderr",
        patience: float = 0.0,
    ) -> None:
        stream = sys.stderr if stream == "stderr" else stream  # now, not when this module was first imported
        self.label, self.total, self.start, self.done, self.unit, self.stream = label, total, start, start, unit, stream
        self._terminal = stream is not None and stream.isatty()
        self._began = self._shown = time.monotonic()
        self._width = 0
        self._patience = patience
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal and self._width:
            self._write("\n")
            self._width = 0

    def advance(self, more: int) -> None:
        """Count some more and show where we are, not too often; any thread may."""
        with self._lock:
            self.show(self.done + more)

    def show(self, done: int, left: float | None = None, **numbers: float) -> None:
        """Set the count, and show it with the ``numbers``, not too often; ``left``: seconds, where they are known."""
        self.done, now = done, time.monotonic()
        if now - self._began < self._patience:
            return
        over = left == 0 if self.total is None else done >= self.total
        if now - self._shown >= (0.1 if self._terminal else EVERY) or over:
            self._shown = now
            self._line(now - self._began, left, numbers)
            if over:
                self.__exit__()

    def _line(self, elapsed: float, left: float | None, numbers: dict[str, float]) -> None:
        rate = (self.done - self.start) / max(elapsed, 1e-9)
        if left is None and self.total is not None and (rate or self.done >= self.total):
            left = max(self.total - self.done, 0) / max(rate, 1e-9)
        count = f"{self.done}" if self.total is None else f"{self.done}/{self.total}"
        values = "".join(f"  {key} {value:.4g}" for key, value in numbers.items())
        line = f"{self.label} {count} {self.unit}{values}  {_speed(rate)} {self.unit}/s"
        if left is not None or self.total is not None:
            line += f"  {'unknown' if left is None else duration(left)} left"
        if self._terminal:
            self._write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(text)
            self.stream.flush()


_under_way: ContextVar[TextIO | Progress | None] = ContextVar("under_way", default=None)
"""Where `counted` shows how far work is: on a stream, or as a part of what is being counted; None: nowhere."""


@contextmanager
def shown_on(stream: TextIO | None) -> Iterator[None]:
    """Within it, `counted` writes to this stream. Commands are within it; for others `counted` is silent."""
    before = _under_way.get()
    _under_way.set(stream)
    try:
        yield
    finally:
        _under_way.set(before)


def counted(items: Iterable[_Item], label: str, total: int | None, unit: str = "images") -> Iterator[_Item]:
    """The items; work on them that takes longer than `EVERY` seconds shows how far it is, and the time that is left.

    Within the work on another `counted`, they are a sign that the outer one goes on. Arguments: as for `Progress`.
    """
    where = _under_way.get()
    if where is None:
        yield from items
        return
    if isinstance(where, Progress):
        for item in items:
            yield item
            where.advance(0)
        return
    bar = Progress(label, total, unit=unit, stream=where, patience=EVERY)
    _under_way.set(bar)
    try:
        with bar:
            for item in items:
                yield item
                bar.advance(1)
    finally:
        _under_way.set(where)


def duration(seconds: float) -> str:
    """`12 s`, `3 min 05 s` or `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _speed(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
