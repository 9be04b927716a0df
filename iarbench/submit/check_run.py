"""Whether a run can be submitted: what it says of itself is whole, and others could repeat it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from iarbench import __version__, content
from iarbench.attack import parse
from iarbench.errors import UserError
from iarbench.harness import manifest as manifests
from iarbench.harness.manifest import Manifest
from iarbench.results import seal
from iarbench.results.kinds import KINDS
from iarbench.results.rows import read_rows
from iarbench.results.scores import about_part, load_index, load_scores
from iarbench.specs import TaskRecord
from iarbench.task import Task


@dataclass(frozen=True, slots=True)
class Checked:
    """A run that may be submitted."""

    manifest: Manifest
    task: Task
    index: pd.DataFrame
    scores: pd.DataFrame
    rows: list[Any]
    codes: dict[str, str]
    """detector -> digest of its code, of those that did not come with iarbench"""


def check_run(root: Path, local: bool = False) -> Checked:
    """Read a finished run, if nothing speaks against it; `local`: for a board of one's own, where code may be changed
    and images may be known to nobody else.

    Raises:
        UserError: saying what is wrong with it.
    """
    manifest = manifests.read(root)
    if manifest is None:
        raise UserError(f"{root}: no run here; give the folder that `iarbench run --out` wrote")
    if manifest.status != "finished":
        raise UserError(f"{root}: the run is not finished; repeat it: {manifest.runs[-1].command}")
    check_files(root, manifest)
    _check_versions(root, manifest, local)
    _check_images(root, manifest, local)
    check_task(manifest.task)
    task, parts = Task.restore(manifest.task), seal.parts_of(root)
    index, scores = load_index(root), load_scores(root, parts)
    if lacking := incomplete(scores, task):
        raise UserError(f"{root}: {lacking}, and a board takes whole runs; repeat the run without what it lacks")
    rows = read_rows(root / "results.jsonl", KINDS[task.spec.kind].row())
    return Checked(manifest, task, index, scores, rows, _codes(root, parts))


def finished(root: Path) -> Manifest:
    """What a finished run says of itself. Raises UserError when it is none, or a file is not as it was written."""
    manifest = manifests.read(root)
    if manifest is None or manifest.status != "finished":
        raise UserError(f"{root} is no finished run")
    check_files(root, manifest)
    return manifest


def check_files(root: Path, manifest: Manifest) -> None:
    """Raise UserError naming the file of a run that is not as it was written."""
    for name in ("images.parquet", "parts.txt", "results.jsonl"):
        if seal.digest(root / name) != manifest.files.get(name):
            raise UserError(f"{root / name} is not as the run wrote it: it was changed or is damaged")
    if damaged := seal.damaged_parts(root):
        raise UserError(f"{root / damaged[0]} is not as the run wrote it: it was changed or is damaged")


def check_task(record: TaskRecord) -> None:
    """Raise UserError where a task has the name and version of a packaged one and is another."""
    if record.name in content.task_names():
        packaged = Task.load(record.name)
        same = packaged.spec.version == record.version and packaged.sha256 == record.sha256
        if packaged.spec.version == record.version and not same:
            raise UserError(f"task {record.name} version {record.version} is not the one that iarbench has")


def _check_versions(root: Path, manifest: Manifest, local: bool) -> None:
    last = manifest.runs[-1]
    if last.iarbench != __version__:
        raise UserError(f"{root} was made by iarbench {last.iarbench}, this is {__version__}; repeat: {last.command}")
    changed = [run for run in manifest.runs if run.git and run.git.endswith("-dirty")]
    if changed and not local:
        raise UserError(
            f"{root} was made by changed code ({changed[0].git}), which nobody else has; commit, repeat into a fresh "
            "--out with --reuse, and submit that; or give --local, for a board of your own"
        )


def _check_images(root: Path, manifest: Manifest, local: bool) -> None:
    used = manifest.images.set
    if used not in content.image_set_names() and not used.startswith("hf:") and not local:
        raise UserError(
            f"{root} is about images in {used}, which nobody else has; publish them (`iarbench images push`) and run "
            "on hf:owner/name@revision; or give --local, for a board of your own"
        )


def incomplete(scores: pd.DataFrame, task: Task) -> str | None:
    """A target and an attack of the task that a detector has no scores for, if there is one."""
    attacks = {parse(text).name for text in task.attacks_for(task.spec.attacks)}
    wanted = set(product(task.spec.targets, attacks))
    for names, part in scores.groupby(["detector", "parameters", "encoder"]):
        cells = set(zip(part["target"], part["attack"], strict=True))
        if lacking := sorted(wanted - cells):
            return f"{' '.join(map(str, filter(None, names)))} has no scores for {lacking[0][0]} under {lacking[0][1]}"
    return None


def _codes(root: Path, parts: Iterable[str]) -> dict[str, str]:
    codes: dict[str, str] = {}
    for part in parts:
        about = about_part(pq.read_schema(root / part))
        if "detector_code" in about:
            codes[about["detector"]] = about["detector_code"]
    return codes
