"""The Hub's own files for benchmarks: eval.yaml for the repository of the images, results for those of the models.

The Hub lists a benchmark once its `evaluation_framework` is one that it knows, and shows results that the owner of a
model has put into its repository. So both are written for their owners to push; nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from iarbench.board.gather import Batch
from iarbench.board.groups import groups_of
from iarbench.board.provenance import Entry, Group
from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.hub import eval_results, require_repository_name
from iarbench.results.rows import POOLED, Row
from iarbench.results.tables import with_interval

FRAMEWORK = "iarbench"
"""Name of the benchmark's program, which the Hub has to accept first."""


def write_hub_files(batches: Sequence[Batch], task: str, dataset: str, source: str | None, out: Path) -> list[Path]:
    """Write `eval.yaml` and, per entry and target, `models/<entry>/.eval_results/<task>.yaml` below `out`.

    Args:
        batches: rows, see `iarbench.board.gather`; of each task the newest version on all its images counts.
        task: its name.
        dataset: owner/name of the repository that holds the task's images.
        source: address under which the results can be looked up, if there is one.
        out: folder.

    Returns:
        The files, eval.yaml first.

    Raises:
        UserError: no primary rows of this task, or `dataset` is no name of a repository.
    """
    require_repository_name(dataset, "--dataset", "me/iarbench-mini")
    groups = [group for group in groups_of(batches) if group.task == task and group.limit is None]
    if not groups:
        raise UserError(f"no rows of task {task!r} on all its images; there are: {_tasks(batches)}")
    group = max(groups, key=lambda group: group.version)
    written = [out / "eval.yaml"]
    write_text(written[0], yaml.safe_dump(_eval(group), sort_keys=False, allow_unicode=True))
    for entry in group.entries:
        for target in group.targets:
            if rows := _primary(group, entry, target):
                path = out / "models" / _folder(entry, target) / ".eval_results" / f"{task}.yaml"
                write_text(path, yaml.safe_dump(_results(rows, dataset, source), sort_keys=False, allow_unicode=True))
                written.append(path)
    return written


def _eval(group: Group) -> dict[str, Any]:
    """A task per target and attack: the Hub ranks one number a task."""
    return {
        "name": f"iarbench {group.task}",
        "description": "Was this image made by that image auto-regressive model? TPR in %, at a fixed FPR.",
        "evaluation_framework": FRAMEWORK,
        "tasks": [
            {"id": _task_id(target, attack), "config": target, "split": "test"}
            for target in group.targets
            for attack in group.attacks
        ],
    }


def _results(rows: Sequence[Row], dataset: str, source: str | None) -> list[dict[str, Any]]:
    return eval_results(
        {
            "dataset_id": dataset,
            "task_id": _task_id(row.target, row.attack),
            "value": round(100 * (row.value or 0.0), 2),
            "source_url": source,
            "source_name": "iarbench board" if source else None,
            "notes": _notes(row),
        }
        for row in rows
    )


def _primary(group: Group, entry: Entry, target: str) -> list[Row]:
    """The numbers that the task compares by, one per attack."""
    found = (
        group.by_cell.get((entry.key, target, attack, POOLED, rate)) for attack in group.attacks for rate in group.rates
    )
    shown = (line.shown(group.metric) for line in found if line is not None)
    return [row for row in shown if row is not None and row.primary and row.value is not None]


def _notes(row: Row) -> str:
    rate = "" if row.fpr_nominal is None else f" at {100 * row.fpr_nominal:g} % false positives"
    what = f"detector {row.detector} version {row.detector_version}, encoder {row.encoder}, attack {row.attack}"
    return f"{row.metric}{rate}, {with_interval(row)} (95 % interval); {what}, task version {row.task_version}"


def _task_id(target: str, attack: str) -> str:
    return target if attack == "none" else f"{target}-{attack}"


def _folder(entry: Entry, target: str) -> str:
    names = (target, entry.label, entry.encoder)
    return "-".join("".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in name) for name in names)


def _tasks(batches: Sequence[Batch]) -> str:
    names = {row.task for batch in batches for row in batch.rows if isinstance(row, Row)}
    return ", ".join(sorted(names)) or "none"
