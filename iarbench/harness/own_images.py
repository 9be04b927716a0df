"""Two folders of pictures as a task: brought to one size alike, split by group into calibration and test, kept."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TextIO

import yaml

from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.images.folder_source import walk
from iarbench.images.image_set import ImageSet
from iarbench.images.importing import ImportReport, Treatment
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord
from iarbench.images.sources import open_source
from iarbench.models import variants
from iarbench.progress import Progress
from iarbench.results.rows import OTHERS, POOLED
from iarbench.specs import TaskSpec, check_task
from iarbench.task import Task

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
"""Raised when the same pictures would become another set."""

TEST, CALIBRATION = "test", "calibration"
SHOWN = 3
"""Pictures that could not be used are named one by one up to this number."""


@dataclass(frozen=True, slots=True)
class OwnImages:
    """What the user brings. Every source is a folder of pictures, Parquet, or the name of an image set."""

    members: str
    """images that the target made"""
    real: tuple[str, ...]
    """sources of images that it did not make, each a non-member set of its own"""
    group_by: Literal["image", "folder"] = "image"
    """what is never on both sides of the split, and one unit in statistics; an image set has its own groups"""
    group_column: str | None = None
    """of Parquet files, in place of `group_by`"""
    others: bool = False
    """whether the images of the task's other generators are non-members as well"""

    @classmethod
    def asked(
        cls,
        members: str | None,
        real: Sequence[str] | None,
        group_by: str | None,
        group_column: str | None,
        others: bool,
        images: str | None,
    ) -> Self | None:
        """What the options of a command say; None when they say nothing. Raises UserError when they say half of it."""
        if members is None and not real:
            if group_by or group_column or others:
                raise UserError("--group-by, --group-column and --with-others are for --members and --real: give both")
            return None
        if members is None or not real:
            missing = (
                "--members: images that the target made" if members is None else "--real: images that it did not make"
            )
            raise UserError(f"--members and --real go together; give {missing}")
        if images is not None:
            raise UserError("--images and --members are two ways to give images; choose one")
        return cls(members, tuple(real), "folder" if group_by == "folder" else "image", group_column, others)


def own_task(task: Task, own: OwnImages, cache: Path, progress: TextIO | None = sys.stderr) -> tuple[Task, list[str]]:
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
    key = _key(task, own, size)
    folder = cache / key
    if not (folder / "notes.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        notes = _write(task, own, sources, size, folder, progress)
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


def _write(
    task: Task, own: OwnImages, sources: dict[str, str], size: int, folder: Path, progress: TextIO | None
) -> list[str]:
    """Write the image set; what is to be said about it."""
    target = task.spec.targets[0]
    notes: list[str] = []
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, Progress("importing", None, stream=progress) as bar:

        def counted(records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
            for record in records:
                yield record
                bar.advance(1)

        records = _read(own, {target: own.members, **sources}, size, notes)
        treated = ImageSet.write(counted(records), Path(scratch) / "treated")
        index = treated.index()
        kept = _without_copies(index, target, notes)
        split: dict[str, str] = {}
        for source in sources:
            split |= _split(kept[kept["source"] == source], source, own)
        ImageSet.write(_final(treated, kept["image_id"], split, _others(task, own, size)), folder)
    return notes


def _read(own: OwnImages, sources: dict[str, str], size: int, notes: list[str]) -> Iterator[ImageRecord]:
    """All pictures at one size in one container, ids made unique by their source."""
    for source, where in sources.items():
        report = ImportReport()
        options = {"group_column": own.group_column} if own.group_column else {}
        treatment = Treatment(source=source, prefix=f"{source}/", preprocess=Preprocess(size))
        found = 0
        for record in open_source(where, treatment, report, **options):
            found += 1
            yield _grouped(record, own, source)
        notes += [f"skipped: {line}" for line in report.skipped[:SHOWN]]
        if len(report.skipped) > SHOWN:
            notes.append(f"skipped: {len(report.skipped) - SHOWN} more of {where}")
        if not found:
            raise UserError(f"{where}: no image could be used{': ' + report.summary() if report.skipped else ''}")


def _grouped(record: ImageRecord, own: OwnImages, source: str) -> ImageRecord:
    if own.group_by != "folder" or own.group_column or record.group != record.image_id:
        return record
    inside = record.image_id.removeprefix(f"{source}/")
    return replace(record, group=inside.rpartition("/")[0] or inside)


def _without_copies(index: pd.DataFrame, target: str, notes: list[str]) -> pd.DataFrame:
    """Each picture once: a copy would be on both sides of a split; one that is member and not is neither."""
    member = index["source"] == target
    both = set(index.loc[member, "sha256"]) & set(index.loc[~member, "sha256"])
    kept = index[~index["sha256"].isin(both)]
    if both:
        notes.append(f"pictures that are among the members and the real images: {len(both)}, left out of both")
    once = kept.drop_duplicates("sha256")
    if copies := len(kept) - len(once):
        notes.append(f"pictures that are copies of another one: {copies}, left out")
    return once


def _split(index: pd.DataFrame, source: str, own: OwnImages) -> dict[str, str]:
    """Image id -> split; halves by the hash of the group, so that the same pictures are always split alike."""
    if {TEST, CALIBRATION} <= set(index["split"]):
        return dict(zip(index["image_id"], index["split"], strict=True))
    groups: dict[str, list[str]] = {}
    for image_id, group in zip(index["image_id"], index["group"], strict=True):
        groups.setdefault(group, []).append(image_id)
    if len(groups) < 2:
        unit = "group" if own.group_by != "image" or own.group_column else "picture"
        raise UserError(
            f"{source}: {len(groups)} {unit} cannot be split into calibration and test images; give at least 2, "
            "and 198 for a threshold at 1% FPR"
        )
    found: dict[str, str] = {}
    for group in sorted(groups, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()):
        split = CALIBRATION if 2 * len(found) < len(index) else TEST
        found |= dict.fromkeys(groups[group], split)
    if TEST not in found.values():  # the last group is larger than all others
        largest = max(groups.values(), key=len)
        found |= dict.fromkeys(largest, TEST)
    return found


def _final(
    treated: ImageSet, kept: Iterable[str], split: dict[str, str], others: Iterator[ImageRecord]
) -> Iterator[ImageRecord]:
    for batch in treated.filter(image_id=set(kept)).iterate():
        yield from (replace(record, split=split.get(record.image_id, TEST)) for record in batch)
    yield from others


def _others(task: Task, own: OwnImages, size: int) -> Iterator[ImageRecord]:
    """Images of the task's other generators, if asked for."""
    if not own.others:
        return
    spec = task.spec
    names = {spec.nonmember_split: TEST, spec.calibration_split: CALIBRATION}
    sources = [name for name in task.generators if name not in spec.targets]
    for batch in ImageSet.open(spec.images).filter(source=sources, split=list(names)).iterate():
        for record in batch:
            same = (record.width, record.height) == (size, size)
            sized = record if same else record.with_bytes(Preprocess(size)(record.pil()))
            yield replace(sized, split=names[record.split])


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
    name = path.resolve().name if path.exists() else where.removeprefix("hf:").partition("@")[0].rpartition("/")[2]
    return name.removesuffix(".parquet") or "images"


def _key(task: Task, own: OwnImages, size: int) -> str:
    """What the set depends on: every file of the sources, and how they are treated."""
    others = [task.spec.images, task.generators, ImageSet.open(task.spec.images).fingerprint] if own.others else []
    how = [FORMAT, task.spec.targets, size, own.group_by, own.group_column, others, _names(own.real, task.generators)]
    digest = hashlib.sha256(json.dumps(how).encode())
    for where in (own.members, *own.real):
        digest.update(f"source {where}\n".encode("utf-8", "surrogatepass"))
        root = Path(where) if Path(where).exists() else images_path(where)
        for name, file in [("", root)] if root.is_file() else sorted(walk(root, ImportReport())):
            digest.update(f"{name} {_content(file)}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:20]


def _content(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return "cannot be read"  # and is said to be when the pictures are read
