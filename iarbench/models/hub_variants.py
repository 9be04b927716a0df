"""Generators that somebody has published: "hf:owner/name@revision" to a description whose files come from the Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.errors import UserError
from iarbench.hub import HubError, fetch_file, split_name
from iarbench.user_code import is_file_reference

if TYPE_CHECKING:
    from iarbench.models.variants import Variant, WeightFile

DESCRIPTION = "generator.yaml"
"""Where a published generator is described, in the root of its repository."""


def fetch_variant(name: str) -> Variant:
    """The generator "hf:owner/name@revision", under its name with the commit, so that it is the same for all time.

    Weights are fetched when they are needed. Nothing that comes from the Hub is run: its weights must be safetensors,
    and its code must be that of an installed package. Known generators with the same tokenizer file are its siblings.

    Raises:
        UserError: no such repository, no access, no network, or a description that is not one or is refused.
    """
    from iarbench.models import variants

    repo, revision = split_name(name)
    try:
        path = fetch_file(repo, DESCRIPTION, revision)
    except HubError as error:
        raise HubError(name, error.reason) from None
    found = variants.read_family(path)
    if len(found) != 1:
        raise UserError(f"{name}: its {DESCRIPTION} describes {len(found)} generators; it must be one")
    (variant,), commit = found, path.parent.name
    _require_installed(variant, name)
    files = {part: _pinned(part, file, repo, commit, name) for part, file in variant.files.items()}
    siblings = [
        other
        for other in variants.names()
        if (known := variants.get(other).files.get("tokenizer")) and known.sha256 and known.sha256 == _sha256(files)
    ]
    own = {"name": f"hf:{repo}@{commit}", "files": files, "shares_tokenizer_with": tuple(siblings)}
    return variant.model_copy(update=own)


def _sha256(files: Mapping[str, WeightFile]) -> str | None:
    return files["tokenizer"].sha256 if "tokenizer" in files else None


def _pinned(part: str, file: WeightFile, repo: str, commit: str, name: str) -> WeightFile:
    """A file beside the description, as one of the repository at this commit; those elsewhere stay."""
    if file.path is None:
        return file
    if Path(file.path).name != file.path or not file.path.endswith(".safetensors"):
        raise UserError(f"{name}: its {part} {file.path!r} must be a .safetensors file in the root of the repository")
    if not re.fullmatch(r"[0-9a-f]{64}", file.sha256 or ""):
        raise UserError(f"{name}: the description of its {part} lacks a sha256")
    return file.model_copy(update={"path": None, "repo": repo, "file": file.path, "revision": commit})


def _require_installed(variant: Variant, name: str) -> None:
    """Its code may be ours, or that of a package which announces generators: both were installed on purpose."""
    if is_file_reference(variant.code):
        raise UserError(
            f"{name}: comes with code of its own, which is not run from the Hub; download the repository, read it, and "
            "name its folder in $IARBENCH_GENERATORS"
        )
    package = variant.code.partition(":")[0].partition(".")[0]
    announced = entry_points(group="iarbench.generators")
    known = {"iarbench", *(entry.value.partition(":")[0].partition(".")[0] for entry in announced)}
    if package not in known:
        raise UserError(
            f"{name}: needs the code {variant.code}, but no installed package {package!r} announces generators"
        )
