"""`--detector all`: every detector that costs less than a second per image, and why the others are left out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from iarbench.detector import fits
from iarbench.errors import UserError
from iarbench.harness.choose import choose
from iarbench.registry import DETECTORS
from iarbench.task import Task

ALL = "all"
"""Stands for them among the detectors of a task."""

SECONDS = 1.0
"""What one of them may cost per image: on one core, at the dearest mini."""


def with_all(task: Task, splits: Collection[str]) -> tuple[Task, list[str]]:
    """The task with `all` replaced by the names it stands for, and notes that list these and what is left out.

    ``splits``: those of the image set; without the one to learn from, detectors that learn are left out.
    """
    if ALL not in task.spec.detectors:
        return task, []
    known = [name for name in DETECTORS.names() if name not in task.spec.detectors]
    reasons = {name: _why_not(name, task.spec.fit_split, splits) for name in known}
    taken = [name for name, reason in reasons.items() if reason is None]
    notes = [f"all detectors below {SECONDS:g} s an image: {', '.join(taken) or 'none'}"]
    notes += [f"left out of all: {name}: {reason}" for name, reason in reasons.items() if reason]
    names = [name for one in task.spec.detectors for name in (taken if one == ALL else [one])]
    if not names:
        raise UserError(f"no detector costs less than {SECONDS:g} s an image; name one: {', '.join(known)}")
    spec = task.spec.model_copy(update={"detectors": tuple(dict.fromkeys(names))})
    return replace(task, spec=spec), notes


def _why_not(name: str, fit_split: str, splits: Collection[str]) -> str | None:
    """Why a detector is not one of them; None when it is."""
    try:
        kind = choose(name).kind
    except UserError as error:  # its weights or its package are not there
        return str(error)
    if fits(kind) and fit_split not in splits:
        return f"it learns from images of split {fit_split!r}, and there are none"
    cost = kind.seconds_per_image
    if cost is None:
        return "nobody has measured what it costs (seconds_per_image)"
    return None if cost < SECONDS else f"{cost:.2g} s an image"
