"""Taking over what another run has scored and learnt: parts are named by all that they depend on, so equal is equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from iarbench.errors import UserError
from iarbench.files import copy_atomically
from iarbench.harness.fit import digest
from iarbench.harness.learn import unfitted, with_learnt
from iarbench.harness.plan import Plan
from iarbench.harness.quality import unmeasured
from iarbench.harness.store import is_stored


def take_over(plan: Plan, root: Path, others: Sequence[Path]) -> None:
    """Copy below `root` what the plan needs, lacks there, and finds below the folder of another run.

    Raises:
        UserError: one of them is not the folder of a run.
    """
    require_runs(others)
    for other in others:
        for fit in unfitted(plan, root):
            if digest(other, fit) is not None:
                copy_atomically(other / fit.path, root / fit.path)
        take_parts(with_learnt(plan, root), root, other)
        for measure in unmeasured(plan, root):
            if is_stored(other, measure.part):
                copy_atomically(other / measure.part.path, root / measure.part.path)


def require_runs(others: Sequence[Path]) -> None:
    """Raise UserError for a folder without scores."""
    for other in others:
        if not (other / "scores").is_dir():
            raise UserError(f"{other}: no scores to reuse; give the folder that `iarbench run --out` wrote")


def take_parts(plan: Plan, root: Path, other: Path) -> None:
    """Copy below `root` the parts that the plan lacks there and that are stored below `other`."""
    for part in (cell.part for job in plan.missing(root) for cell in job.cells):
        if is_stored(other, part):
            copy_atomically(other / part.path, root / part.path)
