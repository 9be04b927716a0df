"""The rows of results.jsonl: their fields, and reading and writing them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from iarbench.errors import UserError
from iarbench.files import write_text

Row = dict[str, Any]

OTHERS = "other-generators"
POOLED = "pooled"
"""The non-member set in which every other set counts equally."""

CLEAN = "none"
"""The attack that leaves images as they are."""

TPR, AUROC = "tpr_at_fpr", "auroc"
METRICS = (TPR, AUROC)
THRESHOLDS = ("matched", "transfer", "oracle")

ROW_FIELDS = (
    "task", "task_version", "detector", "detector_version", "parameters", "score_name", "encoder", "target",
    "target_weights", "precision", "attack", "attack_version", "attacked", "nonmember_set", "metric", "fpr_nominal",
    "threshold_kind", "threshold", "value", "low", "high", "fpr_achieved", "fpr_low", "fpr_high", "n_members",
    "n_nonmembers", "n_calibration", "n_groups", "seconds_per_image", "images_fingerprint", "iarbench_version",
    "reason",
)  # fmt: skip
"""Keys of a row, in order. `parameters` are the detector's as text, "" for none; `precision` is that of encoder and
decoder. Metrics and rates are in [0, 1] and null when there is none, with the `reason` beside them;
low and high bound a 95% interval; `threshold` is in the unit of the score; `n_calibration` is the number of images the
threshold came from (0 where it came from none, or from the test negatives); `n_groups` counts independent units among
the test non-members; `images_fingerprint` is over exactly the images that the row stands on."""


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write one JSON object a line, all or nothing. Floats are written so that they read back bit for bit."""
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
    write_text(path, "".join(lines))


def read_rows(path: Path) -> list[Row]:
    """The rows of a results.jsonl. Raises UserError naming the line that is not a row."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read results from {path}: {error}") from error
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _parse(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not JSON ({error.msg}); recompute it with `iarbench report RUN`") from error
    if not isinstance(row, dict) or (missing := [key for key in ROW_FIELDS if key not in row]):
        lacks = f"lacks {', '.join(missing)}" if isinstance(row, dict) else "is not an object"
        raise UserError(f"{where} is not a row of results: it {lacks}")
    return row
