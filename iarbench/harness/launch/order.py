"""A piece of work as it lies in its folder: what was asked, and the parts that it consists of.

`<place>/work/<id>/order.json` says what was asked, `parts.tsv` beside it lists the parts, one a line: key, number of
images, and the files that are there when it is done, relative to `<place>`. So whoever sees the folder can go on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iarbench import __version__
from iarbench.errors import UserError
from iarbench.files import write_atomically, write_text

FOLDER = "work"
FIELDS = ("kind", "asked", "how", "directory", "environment", "command")
"""Of order.json, in the order of `Order`."""
PASSED_ON = ("IARBENCH_GENERATORS", "IARBENCH_CACHE", "HF_HOME", "HF_HUB_OFFLINE")
"""Environment variables that change what names stand for; processes elsewhere get them too. None holds a secret."""


@dataclass(frozen=True, slots=True)
class WorkPart:
    """The unit that a process takes, redoes after a failure, and finds done."""

    key: str
    images: int
    files: tuple[str, ...]
    """Relative to the place; all there when it is done."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked, and where."""

    place: Path
    """The folder that the parts are written below."""
    kind: str
    """Of `iarbench.harness.launch.worker.KINDS`."""
    asked: Mapping[str, Any]
    """What the outcome follows from, as JSON has it."""
    how: Mapping[str, Any]
    """What changes no more than its time and rounding, such as the device."""
    directory: str
    """Where relative paths begin."""
    environment: Mapping[str, str]
    command: str

    @classmethod
    def here(cls, place: Path, kind: str, asked: Mapping[str, Any], how: Mapping[str, Any], command: str) -> Order:
        """An order by this process."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return cls(place.resolve(), kind, asked, how, os.getcwd(), environment, command)

    @property
    def folder(self) -> Path:
        """Of this order; the same for the same question."""
        text = json.dumps([self.kind, self.asked], sort_keys=True)
        return self.place / FOLDER / hashlib.sha256(text.encode()).hexdigest()[:12]

    def write(self, parts: Iterable[WorkPart]) -> None:
        """Write order.json and the list of parts."""
        fields = {name: getattr(self, name) for name in FIELDS}
        text = json.dumps({**fields, "began": time.time(), "iarbench": __version__}, indent=1)
        lines = ("\t".join((part.key, str(part.images), *part.files)) + "\n" for part in parts)
        write_atomically(self.folder / "parts.tsv", lambda file: file.writelines(line.encode() for line in lines))
        write_text(self.folder / "order.json", text + "\n")

    def remove(self) -> None:
        """Delete what is kept of an order that is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # another order is under way
            self.folder.parent.rmdir()


def command_line() -> str:
    """The command that this process carries out, for whoever wants to repeat it."""
    return shlex.join(["iarbench", *sys.argv[1:]])


def read_order(folder: Path) -> Order:
    """The order in a folder. Raises UserError when it cannot be read, or is another version's."""
    try:
        found = json.loads((folder / "order.json").read_text(encoding="utf-8"))
        fields = [found[name] for name in FIELDS]
        version = found["iarbench"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / 'order.json'} cannot be read ({error}); repeat the command") from None
    if version != __version__:
        raise UserError(f"{folder}: asked for by iarbench {version}, and this machine has {__version__}; install one")
    return Order(folder.parent.parent, *fields)


def read_parts(folder: Path) -> Iterator[WorkPart]:
    """The parts of the order in a folder, one at a time. Raises UserError when the list cannot be read."""
    path = folder / "parts.tsv"
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                key, images, *files = line.rstrip("\n").split("\t")
                yield WorkPart(key, int(images), tuple(files))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); repeat the command") from None


def done_files(place: Path, parts: Iterable[WorkPart]) -> dict[str, float]:
    """File below `place`, in a folder where some part has one -> when it was written (seconds since 1970)."""
    found: dict[str, float] = {}
    for folder in {file.rpartition("/")[0] or "." for part in parts for file in part.files}:
        try:
            with os.scandir(place / folder) as entries:
                found |= {f"{folder}/{one.name}".removeprefix("./"): one.stat().st_mtime for one in entries}
        except OSError:
            continue  # nothing written there yet
    return found
