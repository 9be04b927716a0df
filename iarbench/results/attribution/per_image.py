"""What each test image got from each target, with calibrated p-values: attribution.parquet of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.files import write_atomically
from iarbench.results.attribution.cell import Standard
from iarbench.results.attribution.cells import ManyTargets, cells_of
from iarbench.results.attribution.task import AttributionTask
from iarbench.stats.open_set import max_p_values
from iarbench.stats.thresholds import ScoreError, p_values

COLUMNS = (
    "detector", "parameters", "score_name", "encoder", "precision", "attack", "image_id", "source", "target", "score",
    "standardised", "p_value", "p_none",
)  # fmt: skip
"""A row per test image and target, calibrated on images under the same attack.

`score`: higher = more likely the target's, in the detector's unit; `standardised`: in the target's, comparable between
targets; `p_value` in (0, 1]: of "this target did not make it", the largest over its sets of calibration non-members,
not corrected for the number of targets; `p_none` in (0, 1]: of "none of the targets made it", on the highest
standardised score of the image, which pays for their number. An image is named at a nominal rate when `p_none` is at
most that rate.
"""


def write_per_image(scores: pd.DataFrame, images: pd.DataFrame, task: AttributionTask, path: Path) -> None:
    """Write `per_image` as Parquet, all or nothing."""
    table = pa.Table.from_pandas(per_image(scores, images, task), preserve_index=False)
    write_atomically(path, lambda file: pq.write_table(table, file))


def per_image(scores: pd.DataFrame, images: pd.DataFrame, task: AttributionTask) -> pd.DataFrame:
    """Columns COLUMNS, for every score that all targets have.

    Raises:
        UserError: as `compute_rows`.
    """
    found = [
        part
        for many in cells_of(scores, images, task)
        if not many.lacking
        for attack in many.frames
        for part in _of_attack(many, attack)
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(COLUMNS))


def _of_attack(many: ManyTargets, attack: str) -> Iterator[pd.DataFrame]:
    task, cell = many.task, many.cell(attack)
    standard = Standard(cell, cell)
    try:
        sets = {target: standard.nonmembers(target).values() for target in task.targets}
        named = {key: many.identity[key] for key in COLUMNS[:5]} | {"attack": attack}
        for source in (*task.targets, *task.real, *task.unknown()):
            ids = many.index.ids(many.index.part((source,), task.test_split, ()))
            if not len(ids):
                continue
            table = standard.standardised(source)
            p_none = max_p_values(table.max(axis=1), standard.maxima)
            for column, target in enumerate(task.targets):
                raw = cell.scores(target, source, task.test_split)
                p = np.max([p_values(raw, one) for one in sets[target]], axis=0)
                values = {"image_id": ids, "source": source, "target": target, "score": raw}
                values |= {"standardised": table[:, column], "p_value": p, "p_none": p_none}
                yield pd.DataFrame(named | values)[list(COLUMNS)]
    except ScoreError:
        return  # a row of the results says why
