"""Files that people write: the YAML of a task, checked key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from iarbench.errors import UserError
from iarbench.images.preparation import Preparation, Preprocessing, StoredAs
from iarbench.models.variants import FastLoader, encoder_names
from iarbench.registry import did_you_mean

Names = Annotated[tuple[str, ...], Field(min_length=1)]
Attacked = Literal["both", "members", "nonmembers"]
Rate = Annotated[float, Field(gt=0, lt=1)]

TASK_SCHEMA = 1
"""Version of the keys of a task; a file that names none means the first."""


class First(BaseModel):
    """How many images of each split take part, the first by id: for detectors that take long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: int = Field(ge=1)
    """of each target"""
    real: int = Field(ge=1)
    """of each set of real images"""
    others: int = Field(ge=1)
    """of each other generator"""


GENERATED = "generated"
"""The key of `sets` that stands for every generator of the task."""


class SetRecipe(BaseModel):
    """How one source of the image set is made, for whoever lacks it: `iarbench run --dry-run` says so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: dict[str, Annotated[int, Field(ge=1)]] = {}
    """split -> how many images"""
    command: str = ""
    """with {source}, {split}, {count}, {skip} (images of the splits before), {images} (the task's) and {out} in it"""
    page: str = ""
    """where to get what the command needs"""
    kilobytes: Annotated[float, Field(gt=0)] | None = None
    """of one image, about; None: of the generator's own size, without loss"""


class TaskSpec(BaseModel):
    """One question to detectors: whose images, against which others, after which attacks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(1, ge=1, le=TASK_SCHEMA)
    """of the keys below"""
    kind: Literal["provenance", "attribution"] = "provenance"
    """the question. provenance: did this generator make this image? attribution: which of the targets did, if any?"""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    version: int = Field(ge=1)
    """raised whenever results stop being comparable"""
    description: str = ""
    targets: Names
    """generators under test; each one's images are also non-members for the others"""
    images: str
    """a packaged image set, a path, or hf:owner/name@revision"""
    sets: dict[str, SetRecipe] = {}
    """source -> how its part of `images` is made; `generated` stands for every generator"""
    member_split: str = "test"
    nonmember_split: str = "test"
    calibration_split: str = "calibration"
    """split of the non-members that thresholds come from"""
    fit_split: str = "fit"
    """split that detectors learn from, members and non-members; never scored"""
    real: tuple[str, ...]
    """sources of real images, each a non-member set of its own"""
    pooled: tuple[str, ...] | None = None
    """those of `real` that belong to the set `pooled`, beside all other generators; all of them when left out"""
    mirrored: bool = False
    """whether the target's own images, mirrored left to right, are a set as well: the same content, but no image that
    the target made; never pooled"""
    first: First | None = None
    """a fixed part of the image set in place of all of it"""
    preprocessing: Preprocessing = "exact"
    """what is done to the pixels of both sides, before an attack. exact: nothing, images must have the target's size;
    resize-crop: shorter side to the size, then centre crop; squash: both sides to the size, as the paper's code does
    before its attacks"""
    container: StoredAs = "stored"
    """the file that both sides are put into then. stored: as they are; jpeg96: JPEG of quality 96, which changes
    pixels; png, webp: without loss, which makes files alike"""
    attacks: Names = ("none",)
    attacked: Attacked = "both"
    """who is attacked: both sides, members only (removal) or non-members only (spoofing)"""
    detectors: Names
    encoders: Names = ("original",)
    """of `iarbench ls generators`"""
    fpr: Annotated[tuple[Rate, ...], Field(min_length=1)] = (0.01,)
    """nominal false-positive rates, as fractions; the first one is the one to compare detectors at"""
    primary: Literal["tpr_at_fpr", "auroc"] = "tpr_at_fpr"
    """the metric that detectors are compared by: it is in the short table, which is sorted by it; in an attribution
    task balanced accuracy is"""

    @property
    def preparation(self) -> Preparation:
        """The treatment of both sides."""
        return Preparation(self.preprocessing, self.container)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if strange := [name for name in self.pooled or () if name not in self.real]:
            raise ValueError(f"pooled: {strange[0]!r} is not one of real: {', '.join(self.real) or 'none'}")
        for one in ("calibration_split", "fit_split"):
            for other in ("member_split", "nonmember_split", "calibration_split"):
                if one != other and getattr(self, one) == getattr(self, other):
                    raise ValueError(f"{one} and {other} are both {getattr(self, one)!r}; give each its own images")
        return self

    @model_validator(mode="after")
    def _sets_can_be_made(self) -> Self:
        for source, recipe in self.sets.items():
            try:
                recipe.command.format_map(dict.fromkeys(("source", "split", "count", "skip", "images", "out"), ""))
            except (KeyError, ValueError, IndexError) as error:
                raise ValueError(f"sets: the command of {source} cannot be filled in ({error})") from None
        return self

    @model_validator(mode="after")
    def _can_attribute(self) -> Self:
        if self.kind != "attribution":
            return self
        if self.attacked != "both" or self.mirrored or self.first is not None:
            raise ValueError("kind attribution treats all images alike: leave out attacked, mirrored and first")
        if self.member_split != self.nonmember_split:
            raise ValueError("kind attribution needs one test split: give member_split and nonmember_split one value")
        if len(set(self.targets)) < 2:
            raise ValueError("kind attribution needs at least two targets to choose from")
        return self


class TaskRecord(BaseModel):
    """A task as the manifest of a run keeps it, so that its results can be computed again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int
    sha256: str
    """of `text`"""
    text: str
    """the YAML as written"""
    generators: tuple[str, ...]
    siblings: dict[str, tuple[str, ...]]
    families: dict[str, str] = {}
    """generator -> family of those with its tokenizer"""
    effective: TaskSpec
    """what the command line and the image set made of it"""


def parse_task(text: str, where: str) -> TaskSpec:
    """The task in a YAML text; `where` names the file in messages.

    Raises:
        UserError: not YAML, an unknown key, a missing one, or a value that cannot be meant.
    """
    try:
        data = yaml.load(text, Loader=FastLoader)
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
        spec = TaskSpec.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{where}: {_what_is_wrong(error)}") from None
    for name in spec.encoders:
        if name not in (known := encoder_names()):
            raise UserError(f"{where}: {did_you_mean('encoder', name, known)}")
    return spec


def _what_is_wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    key = ".".join(str(part) for part in first["loc"])
    if key == "schema_version" and first["type"] == "less_than_equal":
        return f"schema_version {first['input']} is newer than this iarbench, which reads {TASK_SCHEMA}; upgrade it"
    given = "" if first["type"] == "missing" else f", given {first['input']!r}"
    return f"key {key!r}: {first['msg']}{given}"


def read_text(path: Path, what: str = "") -> str:
    """The text of a file. Raises UserError when it cannot be read, naming `what` or else the path."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{what or path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
