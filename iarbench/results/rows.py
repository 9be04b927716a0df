"""Row: one number of a run with everything that it depends on; the lines of results.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.results.grouped import ungrouped

ROW_SCHEMA: Literal[1] = 1
"""Version of the fields of a row."""

METRIC_VERSION = 2
"""Version of how values and intervals follow from scores; numbers of two versions are not compared. 2: the interval of
a TPR is about the rate at exactly the nominal FPR (`iarbench.stats.tpr_interval`), without a bootstrap."""

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A rate, an area under a curve, or an end of an interval about one: a row with another is refused."""

AnyRow = TypeVar("AnyRow", bound=BaseModel)
"""A row of any kind of task."""

OTHERS = "other-generators"
POOLED = "pooled"
"""The non-member set in which every other set counts equally."""

MIRRORED = "mirrored"
"""The target's own images, mirrored left to right: the same content, but not as the target made it."""

CLEAN = "none"
"""The attack that leaves images as they are."""

FLIP = "flip"
"""The attack that mirrors images; alone, or before another, it makes the set `mirrored`."""


def mirrored(attack: str) -> str:
    """The attack under which the target's own images are the set `mirrored` of rows under `attack`."""
    return FLIP if attack == CLEAN else f"{FLIP}+{attack}"


TPR, AUROC = "tpr_at_fpr", "auroc"
METRICS = (TPR, AUROC)

TOLERANCE = {TPR: 0.02, AUROC: 0.002}
"""How far a value may be from the stored one when another kind of processor recomputes it, which rounds otherwise; the
same machine gives the same value to the last bit."""

THRESHOLDS = ("matched", "transfer", "oracle", "guaranteed")


class Row(BaseModel):
    """One metric of one score of one detector for one target, under one attack, against one set of non-members."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = ROW_SCHEMA
    metric_version: int = 1
    """`METRIC_VERSION` of when it was computed"""
    task: str
    task_version: int
    detector: str
    detector_version: int
    parameters: str
    """the detector's, as text such as "lr=0.1,steps=200"; "" for none"""
    score_name: str
    encoder: str
    target: str
    target_weights: str
    """hash of the weights that the score depends on"""
    precision: str
    """of encoder and decoder"""
    attack: str
    attack_version: int
    attacked: Literal["both", "members", "nonmembers"]
    nonmember_set: str
    pools: tuple[str, ...]
    """the sets that `nonmember_set` consists of, each with the same weight: several for `pooled`, else itself alone"""
    metric: Literal["tpr_at_fpr", "auroc"]
    primary: bool
    """whether this is the number that the task compares detectors by: its primary metric, at its first rate and the
    matched threshold, of the detector's main score, against `pooled`"""
    fpr_nominal: float | None = None
    """in (0, 1); None for AUROC"""
    threshold_kind: Literal["matched", "transfer", "oracle", "guaranteed"] | None = None
    """matched: conformal, from calibration images under the same attack; transfer: from clean ones; oracle: from the
    test non-members themselves; guaranteed: as matched, with 95% confidence that the rate is kept"""
    threshold: float | None = None
    """in the unit of the score: higher scores are flagged"""
    value: Fraction | None = None
    """of the metric, in [0, 1]; None where it cannot be had, see `reason`"""
    low: Fraction | None = None
    """lower end of the 95% interval"""
    high: Fraction | None = None
    """upper end of the 95% interval"""
    interval: Literal["at-fpr", "at-threshold"] | None = None
    """what the interval of a TPR is about: the TPR where the FPR is exactly `fpr_nominal`, or, where the threshold is
    guaranteed or its images are too few for that, the TPR at this very threshold"""
    tolerance: float | None = None
    """how far `value` may be off when another machine recomputes it, see `TOLERANCE`"""
    fpr_achieved: Fraction | None = None
    """fraction of the test non-members above the threshold"""
    fpr_low: Fraction | None = None
    """of its 95% interval at this threshold; None for an oracle, whose FPR is what it was set to"""
    fpr_high: Fraction | None = None
    n_members: int
    n_nonmembers: int
    n_calibration: int
    """images that the threshold came from, one a group where it is guaranteed; 0 where it came from none, or from the
    test non-members"""
    n_groups: int
    """independent units among the test non-members"""
    psnr: float | None = None
    """what the attack left of the images it acted on: the median PSNR in dB over the test images that it acted on, the
    members or, for `attacked` nonmembers, those; None for clean images, where it was not measured, or where it left
    more than half of the images as they were"""
    ssim: float | None = None
    """likewise the median SSIM"""
    seconds_per_image: float
    images_fingerprint: str
    """over exactly the images that the number stands on"""
    iarbench_version: str
    reason: str | None = None
    """why there is no value"""
    source: str | None = None
    """on a board, of a detector that is not iarbench's own: its file there, or a repository and commit"""
    submission: str | None = None
    """on a board: the submission that it is part of"""


Key = tuple[str, str, int, str, str, str]
"""What names a competitor, whatever the target: its `COMPETITOR`."""

COMPETITOR = ("detector", "parameters", "detector_version", "score_name", "encoder", "precision")


def key_of(row: Row) -> Key:
    """Whose score a row is about."""
    return row.detector, row.parameters, row.detector_version, row.score_name, row.encoder, row.precision


def clean_first(attacks: Iterable[str]) -> list[str]:
    """The attacks by name, each once, after that which leaves images as they are."""
    return sorted(set(attacks), key=lambda name: (name != CLEAN, name))


def main_scores(rows: Iterable[Row]) -> set[tuple[str, str, str]]:
    """Detector, parameters and score name of the scores that stand for their detectors."""
    return {(row.detector, row.parameters, row.score_name) for row in rows if row.primary}


def write_rows(rows: Iterable[BaseModel], path: Path) -> None:
    """Write one JSON object per line, all or nothing. Floats are written so that they read back bit for bit."""
    lines = [json.dumps(row.model_dump(), ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
    write_text(path, "".join(lines))


@overload
def read_rows(path: Path) -> list[Row]: ...


@overload
def read_rows(path: Path, kind: type[AnyRow]) -> list[AnyRow]: ...


def read_rows(path: Path, kind: type[Any] = Row) -> list[Any]:
    """The rows of a results.jsonl, of one kind. Raises UserError naming the line that is not a row."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read results from {path}: {error}") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    return [row for number, line in numbered for row in _parse(line, f"{path}:{number}", kind)]


def _parse(line: str, where: str, kind: type[AnyRow]) -> list[AnyRow]:
    help = "delete the file and repeat the `iarbench run` command, which writes it anew from the stored scores"
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not JSON ({error.msg}); {help}") from error
    if not isinstance(found, dict):
        raise UserError(f"{where} is not a row of results but {found!r:.40}; {help}")
    version, ours = found.get("schema_version", 0), kind.model_fields["schema_version"].default
    if isinstance(version, int) and version > ours:
        raise UserError(f"{where} was written by a newer iarbench (rows of schema {version}, not {ours}); upgrade")
    if version != ours:
        raise UserError(f"{where} was written by an older iarbench; {help}")
    try:
        return [kind.model_validate(one) for one in ungrouped(found)]
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where} is not a row of results: {first['loc'][0]}: {first['msg']}; {help}") from None
