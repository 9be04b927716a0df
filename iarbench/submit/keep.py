"""Which of a run's rows a board keeps: all that it shows; the others are recomputed from the scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iarbench.attack import parse
from iarbench.results.rows import CLEAN, POOLED, Row, main_scores
from iarbench.specs import parse_task
from iarbench.task import Task


def kept(rows: list[Any], task: Task, source_of: Callable[[Any], str | None], submission: str) -> list[Any]:
    """The rows to store, with their submission and the source of their detector.

    Left out: rows against one generator alone, unless it shares the target's tokenizer; the sets of scores that are not
    their detector's main one, but for `pooled`; under attacks that the task does not list (suites have dozens), all
    but the main score, of provenance tasks against `pooled`; and guaranteed thresholds that the images are too few for.
    """
    main = main_scores(rows)
    listed = {CLEAN, *(parse(name).name for name in parse_task(task.text, task.spec.name).attacks)}

    def shown(row: Any) -> bool:
        if not isinstance(row, Row):
            return row.main or row.attack in listed
        alone = row.nonmember_set in task.generators
        sibling = row.nonmember_set in task.siblings.get(row.target, ())
        of_main = (row.detector, row.parameters, row.score_name) in main
        empty = row.threshold_kind == "guaranteed" and row.value is None
        pooled = row.nonmember_set == POOLED
        if row.attack not in listed:
            return of_main and pooled and not empty
        return (pooled or (of_main and (not alone or sibling))) and not empty

    update = {"submission": submission}
    return [row.model_copy(update=update | {"source": source_of(row)}) for row in rows if shown(row)]
