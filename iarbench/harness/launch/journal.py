"""What every process says of itself: a file of its own, to which it adds a line when it begins a part or fails at one.

A file that is touched less than `SILENCE` seconds ago belongs to a process at work. Clocks of machines that differ by
more than that would make a live process look dead in `status`; nothing else depends on it.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

BEAT = 10.0
"""Seconds between two signs of life."""
SILENCE = 60.0


class Journal:
    """One process's file, `workers/<machine>-<pid>-<random>.jsonl` below the folder of an order."""

    def __init__(self, folder: Path) -> None:
        self.name = f"{platform.node() or 'here'}-{os.getpid()}"
        (folder / "workers").mkdir(parents=True, exist_ok=True)
        self.path = folder / "workers" / f"{self.name}-{uuid.uuid4().hex[:6]}.jsonl"
        self._file: IO[str] = self.path.open("a", encoding="utf-8")
        self._ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._say(ended=True)
        self._file.close()

    def begin(self, part: str) -> None:
        """This process takes a part."""
        self._say(part=part)

    def fail(self, part: str, reason: str) -> None:
        """It could not do it."""
        self._say(part=part, failed=reason)

    def stop(self, reason: str) -> None:
        """Nobody can go on, such as on a full disk."""
        self._say(stop=reason)

    def note(self, text: str) -> None:
        """Something that the user should know."""
        self._say(note=text)

    def _say(self, **line: Any) -> None:
        self._file.write(json.dumps({**line, "at": round(time.time(), 3)}) + "\n")
        self._file.flush()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                os.utime(self.path)
            except OSError:
                return  # the order is done and its folder gone


@dataclass(slots=True)
class Told:
    """What the processes of an order have said."""

    running: dict[str, str] = field(default_factory=dict)
    """Process at work -> the part that it began last, "" before the first."""
    begun: dict[str, int] = field(default_factory=dict)
    """Part -> how often it was begun."""
    failed: dict[str, list[str]] = field(default_factory=dict)
    """Part -> the reason of every failure."""
    notes: list[str] = field(default_factory=list)
    stop: str = ""
    """Why nobody can go on."""


def read_journals(folder: Path, since: float = 0.0) -> Told:
    """What was said since a moment (seconds since 1970)."""
    told = Told()
    for path in sorted((folder / "workers").glob("*.jsonl")):
        current, ended = "", False
        try:
            alive = time.time() - path.stat().st_mtime < SILENCE
            for line in _lines(path):
                if line.get("at", 0.0) < since:
                    continue
                part = str(line.get("part", ""))
                if "failed" in line:
                    told.failed.setdefault(part, []).append(str(line["failed"]))
                elif part:
                    told.begun[part] = told.begun.get(part, 0) + 1
                    current = part
                if "note" in line:
                    told.notes.append(str(line["note"]))
                told.stop = told.stop or str(line.get("stop", ""))
                ended = ended or bool(line.get("ended"))
        except OSError:
            continue
        if alive and not ended:
            told.running[path.stem.rpartition("-")[0]] = current
    return told


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Whole lines; the last one may be half-written by a process that was killed."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found
