"""What generators exist: the variants described in ``generators/*.yaml``, read without torch."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from iarbench.errors import UserError
from iarbench.evidence import NO_ENCODER
from iarbench.registry import did_you_mean
from iarbench.user_code import is_file_reference, one_line_errors

#: several times as fast as the Python one, where libyaml is there
FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

ORIGINAL = "original"
FINE_TUNED = ("inverse", "inverse-aug")
"""Encoders that ``iarbench finetune`` makes: plain, and trained on attacked images."""
PARTS = ("tokenizer", "transformer")
"""Weight files that are no encoder; every other one of a description is."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII | re.IGNORECASE)
"""What a generator may be called: files and folders bear its name."""
_ENCODER_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*", re.ASCII)


class WeightFile(BaseModel):
    """Where one weight file is: beside its YAML (``path``) or on the Hugging Face Hub (``repo`` and ``file``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = None
    """file name inside the folder of the YAML"""
    repo: str | None = None
    file: str | None = None
    revision: str | None = None
    """commit of the Hub repository; None follows its main branch"""
    url: str | None = None
    """page to download from by hand, for weights that are on no hub"""
    wrappers: tuple[str, ...] = ()
    """keys of a PyTorch file under which the state dict may lie; the first present counts"""
    sha256: str | None = None
    size: str | None = None
    """about how large it is, for the message when it cannot be fetched"""
    added_to: str | None = None
    """for an encoder published as a difference: the module of the tokenizer whose tensors it is added to, under the
    names that they have inside that module"""

    @property
    def name(self) -> str:
        """The bare file name, which ``--weights DIR`` is searched for."""
        return Path(self.path or self.file or "").name


class Variant(BaseModel):
    """One model that can be a target or make images."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    family: str
    code: str
    """``module:Class`` of the family's Generator, or ``./file.py:Class`` beside the YAML"""
    folder: Path
    """folder of the YAML, where ``path`` files lie"""
    image_size: int
    """side of its images in pixels"""
    tokenizer: dict[str, Any]
    transformer: dict[str, Any]
    files: dict[str, WeightFile]
    """``tokenizer``, ``transformer``, and encoders by their names"""
    sampling: dict[str, dict[str, Any]]
    """named sampling settings; ``default`` is used unless another is asked for"""
    sampling_precision: Literal["float32", "float64"] = "float32"
    """what its images are made in; float64 makes the same ones on any machine, at two to three times the cost"""
    conditions: Literal["class", "text"] = "class"
    """whether a condition is a class number or a prompt"""
    classes: tuple[str, ...] | None = None
    """names of its classes where they are not ImageNet's 1,000"""
    shares_tokenizer_with: tuple[str, ...] = ()
    training: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """numbers in which the trainings of its ``tokenizer`` (its second phase: ``adversarial``) and ``transformer``
    differ from the recipes'; a new generator modelled on it is trained with the same"""
    finetune: dict[str, Any] = Field(default_factory=dict)
    """numbers of the inverse encoder's training that differ from the recipe's"""
    licence: str
    """of the weights"""
    image_licence: str | None = None
    """under which the images it makes may be used and published, such as CC0-1.0; None: nobody has said"""
    citation: str
    card: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _can_name_files(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a generator: use letters, digits, '.', '_' and '-'")
        return name

    @field_validator("files")
    @classmethod
    def _encoders_have_names(cls, files: dict[str, WeightFile]) -> dict[str, WeightFile]:
        for name in files:
            if name in (ORIGINAL, NO_ENCODER) or not _ENCODER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name for an encoder: use a-z, 0-9, '.' and '-', not {ORIGINAL!r}")
        return files

    def with_code_found(self) -> Variant:
        """Itself, with a file that holds its code told in full: it is found from the folder of the YAML."""
        if not is_file_reference(self.code):
            return self
        return self.model_copy(update={"code": str((self.folder / self.code).resolve())})

    def require_sampling(self, name: str) -> None:
        """Raises UserError for sampling settings that it does not have."""
        if name not in self.sampling:
            raise UserError(f"{self.name} has no sampling {name!r}; it has: {', '.join(self.sampling)}")

    @property
    def stem(self) -> str:
        """What files that belong to it are called: its name, without what a file name cannot have."""
        return self.name.replace("hf:", "").replace("/", "--")

    @property
    def num_classes(self) -> int:
        """How many classes a condition can name."""
        return len(self.classes) if self.classes else 1000

    @property
    def every_condition(self) -> Sequence[int] | Sequence[str]:
        """What its images are made of in turn: class numbers, or class names where conditions are texts."""
        if self.conditions == "text":
            return self.classes or ()
        return range(self.num_classes)


class _Known(NamedTuple):
    variants: dict[str, Variant]
    problems: dict[str, str]
    """What was announced and cannot be read -> why."""


@cache
def _all() -> _Known:
    """Ours, those of installed packages (entry points that load to a folder), and those of $IARBENCH_GENERATORS."""
    import iarbench.generators

    known = _Known({}, {})
    for folder in iarbench.generators.__path__:
        _add_folder(known, Path(folder))
    for entry in entry_points(group="iarbench.generators"):
        try:
            with one_line_errors(f"cannot load {entry.value}"):
                folder = Path(str(entry.load()))
        except UserError as error:
            known.problems[entry.name] = f"{error}; update or uninstall its package"
            continue
        _add_folder(known, folder)
    for mine in filter(None, os.environ.get("IARBENCH_GENERATORS", "").split(os.pathsep)):
        if not Path(mine).is_dir():
            raise UserError(f"IARBENCH_GENERATORS: {mine}: there is no such folder; correct the variable or unset it")
        _add_folder(known, Path(mine))
    return known


def _add_folder(known: _Known, folder: Path) -> None:
    for path in sorted(folder.glob("*.yaml")):
        try:
            found = read_family(path)
        except UserError as error:
            known.problems[path.name] = str(error)
            continue
        for variant in found:
            if variant.name in known.variants:
                first = known.variants[variant.name].folder
                known.problems[f"{variant.name} of {path}"] = f"the name is taken by one in {first}; rename it"
            else:
                known.variants[variant.name] = variant


def read_family(path: Path) -> list[Variant]:
    """The variants of one family's YAML; keys beside ``variants`` are defaults for each of them. Raises UserError."""
    try:
        description = yaml.load(path.read_text(), Loader=FastLoader)
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a generator description ({str(error).splitlines()[0]})") from None
    return variants_of(description, path.parent, str(path))


def variants_of(description: Any, folder: Path, origin: str) -> list[Variant]:
    """The variants of a description as YAML has it; files lie in ``folder``. Raises UserError that names ``origin``."""
    if not isinstance(description, dict) or not isinstance(description.get("variants"), dict):
        raise UserError(f"{origin} is not a generator description: it has no mapping called variants")
    shared = {key: value for key, value in description.items() if key != "variants"}
    result = []
    for name, own in description["variants"].items():
        if not isinstance(own, dict):
            raise UserError(f"{origin}, variant {name}: it is no mapping")
        try:
            result.append(Variant(**{"folder": folder, **shared, **own, "name": name}).with_code_found())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UserError(f"{origin}, variant {name}: {where}: {first['msg']}") from None
    return result


def names() -> list[str]:
    """Every known generator, in alphabetical order."""
    return sorted(_all().variants)


def encoder_names() -> list[str]:
    """Every encoder that some generator has or can be given, the usual ones first."""
    described = [part for name in names() for part in get(name).files if part not in PARTS]
    return list(dict.fromkeys([ORIGINAL, *FINE_TUNED, *described]))


def problems() -> dict[str, str]:
    """What packages or $IARBENCH_GENERATORS announce and cannot be read -> why; nobody else is kept from working."""
    return dict(_all().problems)


def minis() -> list[Variant]:
    """The small generators whose weights lie in the package."""
    return [get(name) for name in names() if "mini" in name.split("-")]


def pinned(name: str) -> str:
    """The name by which results and images know a generator: one on the Hub with its commit, others as they are.

    Raises:
        UserError: it cannot be had from the Hub.
    """
    return get(name).name if name.startswith("hf:") else name


def get(name: str) -> Variant:
    """The variant called ``name``, also ``hf:owner/name@revision``. Raises UserError that lists the near ones."""
    known = _all()
    if name.startswith("hf:") and name not in known.variants:
        from iarbench.models.hub_variants import fetch_variant

        found = fetch_variant(name)
        return known.variants.setdefault(found.name, found)
    if name not in known.variants:
        unread = "".join(f"; not read: {what} ({why})" for what, why in known.problems.items())
        raise UserError(did_you_mean("generator", name, names()) + unread)
    return known.variants[name]
