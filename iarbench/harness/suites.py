"""`suite:NAME` among the attacks of a task: replaced by what it stands for before anything is planned."""

from __future__ import annotations

from dataclasses import replace

from iarbench.attacks.suites import expand
from iarbench.task import Task


def with_suites(task: Task) -> tuple[Task, list[str]]:
    """The task with every suite replaced by the attacks that this installation can make, and notes on the others.

    Raises:
        UserError: an unknown suite or attack, or an attack asked for by name that cannot be made.
    """
    attacks, notes = expand(task.spec.attacks)
    return replace(task, spec=task.spec.model_copy(update={"attacks": tuple(attacks)})), notes
