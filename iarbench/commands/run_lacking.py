"""The part of ``iarbench run --dry-run`` that says what a task needs and this machine lacks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from iarbench.task import Task


def show_lacking(task: Task, notes: Sequence[str], weights_dir: Path | None, as_json: bool) -> int:
    """Print what a task without suites lacks here and what it will cost, then notes; 1 when something is missing, 0 and
    nothing printed if not."""
    from iarbench.harness.all_detectors import with_all
    from iarbench.harness.estimate import estimate
    from iarbench.harness.lacking import lacking

    task, _ = with_all(task, {task.spec.fit_split})  # its images may not be here to be asked for their splits
    lacks = lacking(task, weights_dir)
    if not lacks:
        return 0
    costs = estimate(task, lacks)
    if as_json:
        found = [one.dump() for one in lacks]
        print(json.dumps({"task": task.spec.name, "version": task.spec.version, "missing": found, "estimate": costs}))
        return 1
    print(f"task {task.spec.name} version {task.spec.version}: {len(lacks)} things are missing here\n")
    for number, one in enumerate(lacks, start=1):
        size = f" ({one.size})" if one.size else ""
        print(f"{number:>2}. {one.kind}: {one.what}{size}")
        if one.where:
            print(f"    from  {one.where}")
        print(f"    do    {one.command}")
    print()
    print("\n".join([*costs, *notes]))
    print(f"then: {_again(task)}")
    return 1


def _again(task: Task) -> str:
    return f"iarbench run --task {shlex.quote(task.spec.name)}, with --weights DIR where weights are in a folder"
