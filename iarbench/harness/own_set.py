"""The user's own pictures as one image set: one size and container, each picture once, split by group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TextIO

from iarbench.errors import UserError
from iarbench.files import scratch_folder
from iarbench.images.image_set import ImageSet
from iarbench.images.importing import ImportReport, Treatment
from iarbench.images.preprocess import Preprocess
from iarbench.images.record import ImageRecord
from iarbench.images.sources import open_source
from iarbench.models import variants
from iarbench.progress import Progress
from iarbench.task import Task

if TYPE_CHECKING:
    import pandas as pd

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
    read_as: str | None = None
    """"folder" or "parquet", for folders that hold both pictures and Parquet"""

    @classmethod
    def asked(
        cls,
        members: str | None,
        real: Sequence[str] | None,
        group_by: str | None,
        group_column: str | None,
        others: bool,
        read_as: str | None,
        images: str | None,
    ) -> Self | None:
        """What the options of a command say; None when they say nothing. Raises UserError when they say half of it."""
        if members is None and not real:
            if group_by or group_column or others or read_as:
                raise UserError("--group-by, --group-column, --with-others and --as are for --members and --real")
            return None
        if members is None or not real:
            missing = (
                "--members: images that the target made" if members is None else "--real: images that it did not make"
            )
            raise UserError(f"--members and --real go together; give {missing}")
        if images is not None:
            raise UserError("--images and --members are two ways to give images; choose one")
        by: Literal["image", "folder"] = "folder" if group_by == "folder" else "image"
        return cls(members, tuple(real), by, group_column, others, read_as)


def write_own_set(
    task: Task, own: OwnImages, sources: dict[str, str], size: int, folder: Path, progress: TextIO | None
) -> list[str]:
    """Write the image set; what is to be said about it."""
    target = task.spec.targets[0]
    notes: list[str] = []
    treatment = Preprocess(size, geometry="squash" if task.spec.preprocessing == "squash" else "crop")
    with (
        scratch_folder(folder.with_name(f"{folder.name}-treated")) as scratch,
        Progress("importing", None, stream=progress) as bar,
    ):

        def counted(records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
            for record in records:
                yield record
                bar.advance(1)

        named = {target: own.members, **sources}
        treated = ImageSet.write(counted(_read(own, named, treatment, notes)), scratch / "treated")
        index = treated.index()
        index["role"] = [_role(image_id, named) for image_id in index["image_id"]]
        kept = _without_copies(_of_its_kind(index, named, target, notes), target, notes)
        split: dict[str, str] = {}
        for role, where in named.items():
            found = kept[kept["role"] == role]
            if found.empty:
                raise UserError(f"{where}: none of its images is left: all of them are copies of the others given")
            split |= _split(found, role, own) if role in sources else dict.fromkeys(found["image_id"], TEST)
        ImageSet.write(_final(treated, named, split, _others(task, own, treatment)), folder)
    return notes


def _role(image_id: str, named: Iterable[str]) -> str:
    """Whose prefix an id has; the target's may hold slashes: "hf:owner/name@commit"."""
    return next(role for role in named if image_id.startswith(f"{role}/"))


def _read(own: OwnImages, sources: dict[str, str], how: Preprocess, notes: list[str]) -> Iterator[ImageRecord]:
    """All pictures at one size in one container, ids made unique by their source."""
    for source, where in sources.items():
        report = ImportReport()
        options = {"group_column": own.group_column} if own.group_column else {}
        treatment = Treatment(prefix=f"{source}/", preprocess=how)
        found = 0
        for record in open_source(where, treatment, report, read_as=own.read_as, **options):
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


def _of_its_kind(index: pd.DataFrame, named: dict[str, str], target: str, notes: list[str]) -> pd.DataFrame:
    """Of an image set that holds several sources, the target's images as members, and as real ones no generator's."""
    kept = index["image_id"].notna()
    for role, where in named.items():
        mine = index["role"] == role
        there = sorted(index.loc[mine, "source"].unique())
        if len(there) < 2:
            continue
        generated = set(variants.names()) & set(there)
        wanted = {target} & set(there) if role == target else set(there) - generated
        if not wanted:
            what = f"images of {target}" if role == target else "real images"
            raise UserError(f"{where}: holds no {what}, but {', '.join(there)}")
        kept &= ~mine | index["source"].isin(wanted)
        left = ", ".join(name for name in there if name not in wanted)
        notes.append(f"{where}: of its sources only {', '.join(sorted(wanted))}, not {left}")
    return index[kept]


def _without_copies(index: pd.DataFrame, target: str, notes: list[str]) -> pd.DataFrame:
    """Each picture once: a copy would be on both sides of a split; one that is member and not is neither."""
    member = index["role"] == target
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
    treated: ImageSet, named: Iterable[str], split: dict[str, str], others: Iterator[ImageRecord]
) -> Iterator[ImageRecord]:
    for batch in treated.filter(image_id=set(split)).iterate():
        for record in batch:
            yield replace(record, source=_role(record.image_id, named), split=split[record.image_id])
    yield from others


def _others(task: Task, own: OwnImages, how: Preprocess) -> Iterator[ImageRecord]:
    """Images of the task's other generators, if asked for."""
    if not own.others:
        return
    spec = task.spec
    names = {spec.nonmember_split: TEST, spec.calibration_split: CALIBRATION}
    sources = [name for name in task.generators if name not in spec.targets]
    for batch in ImageSet.open(spec.images).filter(source=sources, split=list(names)).iterate():
        for record in batch:
            same = record.width == record.height == how.size
            sized = record if same else record.with_bytes(how(record.pil()), how.name)
            yield replace(sized, split=names[record.split])
