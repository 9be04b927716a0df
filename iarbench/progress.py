"""How far a piece of work is: one line that renews itself in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import Self, TextIO

EVERY = 5.0
"""Seconds between plain lines."""


class Progress:
    """Counts ``unit``; leaves the terminal clean when the count is complete, or as a context manager in any case.

    Args:
        label: what is being done.
        total: how many units there are.
        start: how many of them an earlier run has done; they count as done, not as fast.
        unit: what is counted.
        stream: where to write; None writes nothing.
    """

    def __init__(
        self, label: str, total: int, start: int = 0, unit: str = "images", stream: TextIO | None = sys.stderr
    ) -> None:
        self.label, self.total, self.start, self.done, self.unit, self.stream = label, total, start, start, unit, stream
        self._terminal = stream is not None and stream.isatty()
        self._began = self._shown = time.monotonic()
        self._width = 0
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

    def show(self, done: int, **numbers: float) -> None:
        """Set the count, and show it with the ``numbers``, not too often."""
        self.done, now = done, time.monotonic()
        if now - self._shown >= (0.1 if self._terminal else EVERY) or done >= self.total:
            self._shown = now
            self._line(now - self._began, numbers)
            if done >= self.total:
                self.__exit__()

    def _line(self, elapsed: float, numbers: dict[str, float]) -> None:
        rate = (self.done - self.start) / max(elapsed, 1e-9)
        left = "0 s" if self.done >= self.total else duration((self.total - self.done) / rate) if rate else "unknown"
        values = "".join(f"  {key} {value:.4g}" for key, value in numbers.items())
        line = f"{self.label} {self.done}/{self.total} {self.unit}{values}  {_speed(rate)} {self.unit}/s  {left} left"
        if self._terminal:
            self._write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(text)
            self.stream.flush()


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
