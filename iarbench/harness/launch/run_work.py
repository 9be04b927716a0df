"""Scoring for a run, as an order: what the submitting process asks for, and what a working process does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

from iarbench.content import images_path
from iarbench.errors import UserError
from iarbench.harness.launch.engine import Launch
from iarbench.harness.launch.order import Order, WorkPart
from iarbench.harness.launch.rounds import carry_out
from iarbench.harness.launch.worker import Work
from iarbench.harness.learn import unfitted, with_learnt
from iarbench.harness.plan import Job, Plan, Settings, still_missing
from iarbench.harness.planning import make_plan
from iarbench.harness.quality import measure_one, measures, unmeasured
from iarbench.harness.store import Part, is_stored
from iarbench.images.image_set import ImageSet
from iarbench.specs import TaskRecord
from iarbench.task import Task


def order_of(plan: Plan, root: Path, settings: Settings, command: str) -> Order:
    """The order to score what a plan lacks below `root`."""
    told = asdict(settings)
    identity = {name: told.pop(name) for name in ("precision", "limit")}
    told["weights_dir"] = settings.weights_dir and str(settings.weights_dir)
    asked = {"task": plan.task.record().model_dump(mode="json"), "settings": identity}
    return Order.here(root, "run", asked, told, command)


def score_elsewhere(
    plan: Plan, root: Path, settings: Settings, launch: Launch, command: str, progress: TextIO | None
) -> Plan:
    """Have the detectors learn and everything scored that `root` lacks; the plan with what was learnt.

    Raises:
        UserError: as `iarbench.harness.launch.rounds.carry_out`.
    """
    order = order_of(plan, root, settings, command)
    if todo := unfitted(plan, root):
        for fit in todo:
            (root / fit.path).unlink(missing_ok=True)  # damaged
        parts = [WorkPart(fit.key, len(fit.image_ids), (fit.path,)) for fit in todo]
        carry_out(order, parts, launch.make(settings.device), progress, "learning")
    plan = with_learnt(plan, root)
    lacking: list[Part] = [cell.part for job in plan.missing(root) for cell in job.cells]
    for part in lacking + [one.part for one in unmeasured(plan, root)]:
        (root / part.path).unlink(missing_ok=True)  # damaged: a file that is there counts as done
    carry_out(order, parts_of(plan), launch.make(settings.device), progress)
    order.remove()
    return plan


def parts_of(plan: Plan) -> list[WorkPart]:
    """What processes take: images under an attack at a size, for every detector and target that looks at them, and
    what the attack did to them."""
    scored = [WorkPart(_key(job), len(job.chunk), tuple(c.part.path for c in job.cells)) for job in plan.jobs]
    measured = [(one.part, len(one.part.chunk)) for one in measures(plan)]
    return scored + [WorkPart(part.key, count, (part.path,)) for part, count in measured]


def open_work(order: Order, device: str | None, note: Callable[[str], None]) -> Work:
    """The order of `order_of` in a process."""
    from iarbench.harness.execute import decide

    task = Task.restore(TaskRecord.model_validate(order.asked["task"]))
    settings = decide(Settings.restored({**order.asked["settings"], **order.how}, device))
    images = ImageSet.open(images_path(task.spec.images), set_aside=[])  # named where the command was given
    plan = with_learnt(make_plan(task, images, task.spec.images, settings, hashed=False), order.place)
    return _Scoring(plan, order.place, settings, note)


class _Scoring(Work):
    def __init__(self, plan: Plan, root: Path, settings: Settings, note: Callable[[str], None]) -> None:
        from iarbench.harness.ready import Ready

        self.plan, self.root, self.settings, self.note = plan, root, settings, note
        self.fits = {fit.key: fit for fit in unfitted(plan, root)}
        self.jobs = {} if self.fits else {_key(job): job for job in plan.jobs}
        self.measures = {one.part.key: one for one in measures(plan)}
        self.ready: Ready | None = None

    def do(self, key: str) -> None:
        if fit := self.fits.get(key):
            from iarbench.harness.learn import fit_all

            fit_all([fit], self.plan, self.root, self.settings)
        elif job := self.jobs.get(key):
            self._score(job)
        elif one := self.measures.get(key):
            if not is_stored(self.root, one.part):
                measure_one(one, self.plan, self.root)
        else:
            raise UserError("images, weights or code are others here than where the command was given")

    def _score(self, job: Job) -> None:
        from iarbench.harness.execute import execute
        from iarbench.harness.load import open_pool
        from iarbench.harness.ready import make_ready

        todo = still_missing([job], self.root)
        if not todo:
            return
        if self.ready is None:
            self.ready = make_ready(self.plan.jobs, self.plan, self.root, self.settings)
            if self.settings.workers:
                self.ready = replace(self.ready, pool=open_pool(self.plan.images, self.settings.workers))
        self.settings = execute(todo, self.plan, self.root, self.settings, lambda _: None, self.note, self.ready)


def _key(job: Job) -> str:
    keys = "\n".join(cell.part.key for cell in job.cells)
    return hashlib.sha256(keys.encode()).hexdigest()[:24]
