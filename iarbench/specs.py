"""Files that people write: the YAML of a task, checked key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from iarbench.errors import UserError
from iarbench.registry import did_you_mean

Names = Annotated[tuple[str, ...], Field(min_length=1)]
Attacked = Literal["both", "members", "nonmembers"]
Preprocessing = Literal["exact", "resize-crop"]


class TaskSpec(BaseModel):
    """One question to detectors: whose images, against which others, after which attacks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    version: int = Field(ge=1)
    """raised whenever results stop being comparable"""
    description: str = ""
    targets: Names
    """generators under test; each one's images are also non-members for the others"""
    images: str
    """a packaged image set, a path, or hf:owner/name@revision"""
    member_split: str = "test"
    nonmember_split: str = "test"
    calibration_split: str = "calibration"
    """split of the non-members that thresholds come from"""
    real: Names
    """sources of real images, each a non-member set of its own"""
    preprocessing: Preprocessing = "exact"
    """exact: images must have the target's size; resize-crop: shorter side to the size, then centre crop"""
    attacks: Names = ("none",)
    attacked: Attacked = "both"
    """who is attacked: both sides, members only (removal) or non-members only (spoofing)"""
    detectors: Names
    encoders: tuple[Literal["original", "inverse", "inverse-aug"], ...] = Field(("original",), min_length=1)
    fpr: Annotated[tuple[float, ...], Field(min_length=1)] = (0.01,)
    """nominal false-positive rates, as shares"""
    primary: Literal["tpr_at_fpr", "auroc"] = "tpr_at_fpr"
    """the metric that a leaderboard of this task sorts by"""


def parse_task(text: str, where: str) -> TaskSpec:
    """The task in a YAML text; `where` names the file in messages.

    Raises:
        UserError: not YAML, an unknown key, a missing one, or a value that cannot be meant.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{where} is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(data, dict):
        raise UserError(
            f"{where} is not a task: write keys and values; allowed keys: {', '.join(TaskSpec.model_fields)}"
        )
    return check_task(data, where)


def check_task(data: dict[Any, Any], where: str) -> TaskSpec:
    """The task in a mapping; raises UserError as `parse_task` does."""
    if strange := [key for key in data if key not in TaskSpec.model_fields]:
        raise UserError(f"{where}: {did_you_mean('key', str(strange[0]), TaskSpec.model_fields)}")
    try:
        return TaskSpec.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        given = "" if first["type"] == "missing" else f", given {first['input']!r}"
        raise UserError(f"{where}: key {key!r}: {first['msg']}{given}") from None


def read_text(path: Path) -> str:
    """The text of a file. Raises UserError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
