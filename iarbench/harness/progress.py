"""How far a run is: one line that renews itself in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Self, TextIO

EVERY = 5.0
"""Seconds between plain lines."""


class Progress:
    """Counts images; use as a context manager, so that the terminal is left clean.

    Args:
        label: what is being done.
        total: images to come.
        stream: where to write; None writes nothing.
    """

    def __init__(self, label: str, total: int, stream: TextIO | None = sys.stderr) -> None:
        self.label, self.total, self.done, self.stream = label, total, 0, stream
        self._terminal = stream is not None and stream.isatty()
        self._began = self._shown = time.monotonic()
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal and self._width:
            self._write("\n")

    def advance(self, images: int) -> None:
        """Count some more images and show where we are, not too often."""
        self.done += images
        now = time.monotonic()
        if now - self._shown >= (0.1 if self._terminal else EVERY) or self.done >= self.total:
            self._shown = now
            self._show(now - self._began)

    def _show(self, elapsed: float) -> None:
        rate = self.done / max(elapsed, 1e-9)
        left = duration((self.total - self.done) / rate) if self.done < self.total else "0 s"
        line = f"{self.label} {self.done}/{self.total} images  {rate:,.0f} images/s  {left} left"
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
