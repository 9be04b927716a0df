"""Taking over what another run has scored and learnt: parts are named by all that they depend on, so equal is equal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from iarbench.errors import UserError
from iarbench.harness.fit import digest
from iarbench.harness.learn import unfitted, with_learnt
from iarbench.harness.plan import Plan
from iarbench.harness.store import is_stored


def take_over(plan: Plan, root: Path, others: Sequence[Path]) -> None:
    """Copy below `root` what the plan needs, lacks there, and finds below the folder of another run.

    Raises:
        UserError: one of them is not the folder of a run.
    """
    for other in others:
        if not (other / "scores").is_dir():
            raise UserError(f"{other}: no scores to reuse; give the folder that `iarbench run --out` wrote")
        _copy((fit.path for fit in unfitted(plan, root) if digest(other, fit) is not None), other, root)
        known = with_learnt(plan, root)
        parts = (cell.part for job in known.missing(root) for cell in job.cells)
        _copy((part.path for part in parts if is_stored(other, part)), other, root)


def _copy(paths: Iterable[str], source: Path, root: Path) -> None:
    for path in paths:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")  # all or nothing, as a run writes it
        shutil.copyfile(source / path, partial)
        partial.replace(target)
