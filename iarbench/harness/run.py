"""A run from plan to results, and its results again from what it stored."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

from iarbench import __version__
from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.files import alone, remove_leftovers, write_atomically
from iarbench.harness import manifest as manifests
from iarbench.harness.all_detectors import with_all
from iarbench.harness.launch.engine import Launch
from iarbench.harness.launch.journal import Journal
from iarbench.harness.launch.run_work import order_of, parts_of, score_elsewhere
from iarbench.harness.leak_checks import Areas, check_leaks
from iarbench.harness.learn import learn, unfitted, with_learnt
from iarbench.harness.missing_sets import leave_out_missing
from iarbench.harness.plan import Job, Plan, Settings
from iarbench.harness.planning import make_plan
from iarbench.harness.quality import measure, measures, unmeasured
from iarbench.harness.reuse import take_over
from iarbench.harness.suites import with_suites
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.progress import Progress, duration
from iarbench.results import seal
from iarbench.results.kinds import KINDS, Kind
from iarbench.results.rows import METRIC_VERSION, ROW_SCHEMA, read_rows, write_rows
from iarbench.task import Task

if TYPE_CHECKING:
    from iarbench.harness.manifest import Manifest, OneRun
    from iarbench.results.view import View

RESULTS = ("images.parquet", "parts.txt", "results.jsonl", "results.png")
"""What a run leaves beside its scores and manifest.json; some kinds of task leave more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run ends with."""

    task: Task
    rows: list[Any]
    """Of the task's kind."""
    leak_checks: Areas

    @property
    def kind(self) -> Kind:
        """How its rows are shown."""
        return KINDS[self.task.spec.kind]

    def dump(self, view: View) -> dict[str, Any]:
        """For JSON, the rows that a view is about; results.jsonl has all."""
        return {
            "task": self.task.spec.name,
            "version": self.task.spec.version,
            "rows": [row.model_dump(mode="json") for row in self.kind.chosen(self.rows, view)],
            "leak_checks": self.leak_checks,
        }


def prepare(task: Task, settings: Settings, notes: Iterable[str] = (), *, hashed: bool = True) -> Plan:
    """Open the images of a task and plan what they can answer; no torch. `notes`: what there is to say already;
    `hashed`: see `make_plan`. A file of the image set that cannot be read is named in the notes, and the others are
    planned.

    Raises:
        UserError: an unknown name, weights that cannot be had, or images that do not fit the task.
    """
    for name in task.spec.targets:
        variants.get(name)  # a name that nobody knows is not a set that is missing
    task, suites = with_suites(task)
    unreadable: list[str] = []
    images = _open(task, unreadable)
    task, listed = with_all(task, {split for _, split in images.counts()})
    fitted, missing = leave_out_missing(task, images, settings.limit)
    plan = make_plan(fitted, images, task.spec.images, settings, hashed=hashed)
    aside = [f"set aside, the rest goes on: {line}" for line in unreadable]
    said = (*notes, *suites, *listed, *missing, *aside, *plan.notes)
    return replace(plan, notes=said, set_aside=bool(unreadable))


def _open(task: Task, unreadable: list[str]) -> ImageSet:
    """The task's images; `unreadable` gets a line for each file that cannot be read. Raises UserError, with the way to
    have them where the task knows it.
    """
    try:
        return ImageSet.open(images_path(task.spec.images), set_aside=unreadable)
    except UserError as error:
        if not task.spec.sets:
            raise
        raise UserError(
            f"{error}; `iarbench run --task {task.spec.name} --dry-run` says how its images are made"
        ) from None


def run(
    plan: Plan,
    root: Path,
    settings: Settings,
    progress: TextIO | None = None,
    command: str | None = None,
    reuse: Sequence[Path] = (),
    launch: Launch | None = None,
) -> Outcome:
    """Compute what is missing below `root`, then the results; the same call again resumes or repeats the answer.

    `command`: what the manifest says was asked; by default the command line. `reuse`: folders of other runs, whose
    scores are taken over where they are the same. `launch`: who computes; None: this process.

    Raises:
        UserError: some parts could not be computed; `root` holds something else, or images, weights or the device
            cannot be used.
    """
    before = manifests.require_same_task(root, plan)
    if before:
        _forget_damaged(root, before)
    take_over(plan, root, reuse)
    plan = with_learnt(plan, root)
    missing = plan.missing(root)
    if before and not missing and not unmeasured(plan, root) and _is_whole(root, before, plan):
        return _stored(plan.task, root, before)
    remove_leftovers(root)
    began = time.monotonic()
    manifest = manifests.start(root, plan, settings, command, str(launch) if launch else None)
    if launch is not None:
        plan = score_elsewhere(plan, root, settings, launch, manifest.runs[-1].command, progress)
    else:
        if unfitted(plan, root):  # without it, looking at every part again would find the same
            plan = learn(plan, root, settings)
            missing = plan.missing(root)
        if missing:
            settings = _execute(missing, plan, root, settings, progress, manifest.runs[-1].command)
    if todo := unmeasured(plan, root):
        measure(todo, plan, root, progress)
    with alone(root):  # another run into the same folder waits: its results and manifest would mix with ours
        outcome = _conclude(plan, root)
        end = manifests.finished(
            root,
            manifest,
            time.monotonic() - began,
            settings,
            _count(missing),
            outcome.leak_checks,
            _results_key(plan),
            seal.digests(root, _results(plan.task)),
        )
        manifests.write(root, end)
    return outcome


def outline(plan: Plan, root: Path) -> dict[str, Any]:
    """What a run would do, in numbers; nothing is computed or written."""
    before = manifests.require_same_task(root, plan)
    missing = with_learnt(plan, root).missing(root)
    spec, todo = plan.task.spec, sum(len(job.cells) for job in missing)
    return {
        "task": spec.name,
        "version": spec.version,
        "image_set": spec.images,
        "images": len(plan.index),
        "targets": spec.targets,
        "encoders": spec.encoders,
        "detectors": spec.detectors,
        "attacks": spec.attacks,
        "parts": len(plan.parts),
        "parts_done": len(plan.parts) - todo,
        "images_to_score": _count(missing),
        "scores_to_compute": sum(len(job.chunk) * len(job.cells) for job in missing),
        "estimate": _estimate(_count(missing), before.runs if before else ()),
    }


def _estimate(images: int, runs: Sequence[OneRun]) -> str:
    if not images:
        return "nothing to compute"
    speeds = [run.images_scored / run.seconds for run in runs if run.images_scored and run.seconds]
    if not speeds:
        return "unknown until some images have been scored here; add --limit 20 for a first look"
    return f"about {duration(images / speeds[-1])}, as fast as the last time"


def recompute(root: Path, fpr: float | None = None) -> Outcome:
    """The results of a finished run, computed anew from its stored scores; nothing is written.

    Args:
        fpr: a nominal rate that is going to be shown, as a fraction.

    Raises:
        UserError: `root` is not a finished run, a file of it is not as it was written, or it has no results at `fpr`.
    """
    manifest = manifests.read(root)
    if manifest is None:
        raise UserError(f"{root}: no run here; give the folder that `iarbench run --out` wrote")
    if manifest.status != "finished":
        raise UserError(f"{root}: the run is not finished; repeat it: {manifest.runs[-1].command}")
    rates = manifest.task.effective.fpr
    if fpr is not None and fpr not in rates:
        raise UserError(f"{root} has no results at FPR {fpr:g}; there are: {', '.join(f'{rate:g}' for rate in rates)}")
    again = f"repeat the run, which writes it anew: {manifest.runs[-1].command}"
    if lacking := [name for name in RESULTS[:2] if not (root / name).is_file()]:
        raise UserError(f"{root} lacks {lacking[0]}; {again}")
    if changed := _changed(root, manifest, RESULTS[:2]) or seal.damaged_parts(root):
        raise UserError(f"{root / changed[0]} is damaged: it is not as the run wrote it; {again}")
    task = Task.restore(manifest.task)
    rows = KINDS[task.spec.kind].compute_stored(root, seal.parts_of(root), task)
    return Outcome(task, rows, manifest.leak_checks)


def _execute(
    missing: Sequence[Job], plan: Plan, root: Path, settings: Settings, progress: TextIO | None, command: str
) -> Settings:
    from iarbench.harness.execute import decide, execute

    decided = decide(settings)
    order = order_of(plan, root, settings, command)
    order.write(parts_of(plan))  # for `iarbench status`
    with Journal(order.folder), Progress("scoring", _count(missing), stream=progress) as bar:
        decided = execute(missing, plan, root, decided, bar.advance)
    order.remove()
    return decided


def _conclude(plan: Plan, root: Path) -> Outcome:
    parts = [part.path for part in (*plan.parts, *(one.part for one in measures(plan)))]
    write_atomically(root / "images.parquet", partial(_write_index, plan.used))
    seal.write_parts(root, parts)
    kind = KINDS[plan.task.spec.kind]
    rows = kind.compute_stored(root, parts, plan.task)
    write_rows(rows, root / "results.jsonl")
    kind.write_more(root, parts, plan.task)
    picture = root / ".results.png"
    kind.plot(rows, picture)
    os.replace(picture, root / "results.png")
    return Outcome(plan.task, rows, check_leaks(plan))


def _write_index(images: ImageSet, file: IO[bytes]) -> None:
    """All that is known of the images but the images: a file of the set at a time."""
    import pyarrow.parquet as pq

    tables = images.small_tables()
    first = next(tables)
    with pq.ParquetWriter(file, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _stored(task: Task, root: Path, manifest: Manifest) -> Outcome:
    rows: list[Any] = read_rows(root / "results.jsonl", KINDS[task.spec.kind].row())
    return Outcome(task, rows, manifest.leak_checks)


def _is_whole(root: Path, manifest: Manifest, plan: Plan) -> bool:
    """Whether everything that a run leaves is there and follows from this plan."""
    current = manifest.status == "finished" and manifest.results_key == _results_key(plan)
    return current and not _changed(root, manifest, _results(plan.task))


def _results(task: Task) -> tuple[str, ...]:
    """What a run of the task leaves beside its scores and manifest.json."""
    return (*RESULTS, *KINDS[task.spec.kind].files)


def _changed(root: Path, manifest: Manifest, names: Iterable[str]) -> list[str]:
    """Those of the files that are not as the run wrote them, or not there."""
    return [name for name in names if seal.digest(root / name) != manifest.files.get(name)]


def _forget_damaged(root: Path, manifest: Manifest) -> None:
    """Delete the parts of scores that are not as they were written, so that they are computed again."""
    if manifest.files and not _changed(root, manifest, [seal.PARTS]):
        for part in seal.damaged_parts(root):
            (root / part).unlink(missing_ok=True)


def _count(jobs: Sequence[Job]) -> int:
    return sum(len(job.chunk) for job in jobs)


def _results_key(plan: Plan) -> str:
    """Hash of all that the results follow from."""
    task = plan.task.record()
    asked = [task.effective.model_dump(mode="json"), task.generators, task.siblings, task.families]
    whole = [__version__, ROW_SCHEMA, METRIC_VERSION, asked, plan.images.fingerprint]
    whole += [[part.path for part in plan.parts], [one.part.path for one in measures(plan)]]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
