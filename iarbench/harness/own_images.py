"""Two folders of pictures as a task: results against exactly these, from an image set that is made once."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import yaml

from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.files import sha256_file, write_text
from iarbench.harness.own_set import CALIBRATION, TEST, OwnImages, write_own_set
from iarbench.hub import split_name
from iarbench.images.image_set import ImageSet
from iarbench.images.importing import ImportReport
from iarbench.images.walk import walk
from iarbench.models import variants
from iarbench.results.rows import OTHERS, POOLED
from iarbench.specs import TaskSpec, check_task
from iarbench.task import Task

FORMAT = 1
"""Raised when the same pictures would become another set."""


def own_task(task: Task, own: OwnImages, cache: Path, progress: TextIO | None = None) -> tuple[Task, list[str]]:
    """The task about exactly these images, and a line for everything that was left out.

    `task`: narrowed to the one target that made the members. The image set lies below `cache` under a name that
    depends on the pictures, so that it is made once. Real images are split in halves by the hash of their group, unless
    they come as an image set with both splits.

    Raises:
        UserError: not one target, a source that cannot be read or holds no picture, or too few groups to split.
    """
    if len(task.spec.targets) != 1:
        raise UserError("--members and --real need exactly one --target: the generator that made the members")
    target = task.spec.targets[0]
    size = variants.get(target).image_size
    sources = dict(zip(_names(own.real, (target, POOLED, OTHERS, *task.generators)), own.real, strict=True))
    key = _key(task, own, size, list(sources))
    folder = cache / key
    if not (folder / "notes.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        notes = write_own_set(task, own, sources, size, folder, progress)
        write_text(folder / "notes.json", json.dumps(notes))
    notes = json.loads((folder / "notes.json").read_text(encoding="utf-8"))
    return _about(task, own, target, folder, sources), notes


def _about(task: Task, own: OwnImages, target: str, folder: Path, sources: Iterable[str]) -> Task:
    name = "-".join([target, _name(own.members), *sources])
    spec: dict[str, Any] = task.spec.model_dump() | {
        "name": re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-."),
        "version": 1,
        "description": f"{own.members} against {', '.join(own.real)}",
        "images": str(folder),
        "real": tuple(sources),
        "pooled": None,
        "preprocessing": "exact",
        "member_split": TEST,
        "nonmember_split": TEST,
        "calibration_split": CALIBRATION,
    }
    checked: TaskSpec = check_task(spec, "command line")
    text = yaml.safe_dump(checked.model_dump(mode="json", exclude_none=True), sort_keys=False)
    if own.others:
        return replace(task, spec=checked, text=text)
    return replace(task, spec=checked, text=text, generators=(target,), siblings={})


def _names(real: Sequence[str], taken: Iterable[str]) -> list[str]:
    """A name for each source: that of its folder, with that of the folder above it where two are called alike."""
    short = [_name(where) for where in real]
    names = [
        f"{Path(where).resolve().parent.name}-{name}" if short.count(name) > 1 else name
        for name, where in zip(short, real, strict=True)
    ]
    named = [f"{name}-real" if name in set(taken) else name for name in names]
    if len(set(named)) < len(named):
        raise UserError(
            f"two of --real are called {next(name for name in named if named.count(name) > 1)!r}; rename one"
        )
    return named


def _name(where: str) -> str:
    path = Path(where)
    name = path.resolve().name if path.exists() else split_name(where)[0].rpartition("/")[2]
    return name.removesuffix(".parquet") or "images"


def _key(task: Task, own: OwnImages, size: int, names: Sequence[str]) -> str:
    """What the set depends on: every file of the sources, and how they are treated."""
    others = [task.spec.images, task.generators, ImageSet.open(task.spec.images).fingerprint] if own.others else []
    how = [
        FORMAT,
        task.spec.targets,
        size,
        task.spec.preprocessing == "squash",
        own.group_by,
        own.group_column,
        own.read_as,
        others,
    ]
    digest = hashlib.sha256(json.dumps([*how, names]).encode())
    for where in (own.members, *own.real):
        digest.update(b"source\n")
        root = Path(where) if Path(where).exists() else images_path(where)
        for name, file in [("", root)] if root.is_file() else sorted(walk(root, ImportReport())):
            digest.update(f"{name} {_content(file)}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:20]


def _content(file: Path) -> str:
    try:
        return sha256_file(file)
    except OSError:
        return "cannot be read"  # and is said to be when the pictures are read
