"""What detectors are to learn, from which images of a split of their own, and where it is stored.

What was learnt lies in `learnt/<detector>/<target>/<encoder>-<key>.safetensors` below the folder of a run, the key
being the hash of everything it follows from. The hash of the file is in the identity of the scores: when it changes,
they are computed again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iarbench.detector import tells_siblings
from iarbench.errors import UserError
from iarbench.harness.choose import Choice
from iarbench.harness.store import safe
from iarbench.models.variants import Variant
from iarbench.models.weights import sha256_file
from iarbench.task import Task

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Fit:
    """One detector that learns to tell one target, from which images."""

    detector: Choice
    variant: Variant
    encoder: str
    image_ids: tuple[str, ...]
    members: tuple[bool, ...]
    key: str
    """SHA-256 of everything that what it learns follows from."""

    @property
    def path(self) -> str:
        """Relative to the folder of the run."""
        folders = (self.detector.kind.name, self.variant.name, f"{self.encoder}-{self.key[:12]}.safetensors")
        return "/".join(["learnt", *map(safe, folders)])


def plan_fit(
    detector: Choice,
    variant: Variant,
    encoder: str,
    identity: dict[str, Any],
    task: Task,
    index: pd.DataFrame,
    setting: dict[str, Any],
) -> Fit:
    """The images of the split `fit_split` that the detector learns from, for one target.

    Raises:
        UserError: there are no members or no non-members in it, or a group of it is also in another split.
    """
    spec = task.spec
    siblings = () if tells_siblings(detector.kind) else task.siblings.get(variant.name, ())
    others = task.nonmembers(variant.name) - set(siblings)
    split = index[index["split"] == spec.fit_split]
    rows = split[split["source"].isin({variant.name, *others})]
    for what, sources in (("members", {variant.name}), ("non-members", others)):
        if not rows["source"].isin(sources).any():
            raise UserError(
                f"{detector.owner} learns from images of split {spec.fit_split!r}, and {spec.images} has no {what} of "
                f"{variant.name} in it (images of {', '.join(sorted(sources))}); give a set that has, or set fit_split"
            )
    _require_apart(rows, index[index["split"] != spec.fit_split], detector, spec.fit_split)
    # Mixed, and always in the same order.
    order = sorted(zip(rows["image_id"], rows["sha256"], rows["source"], strict=True), key=_mixed)
    contents = [[image_id, digest, source == variant.name] for image_id, digest, source in order]
    whole = {**detector.identity, **identity, **setting, "images": contents}
    key = hashlib.sha256(json.dumps(whole, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
    ids, members = tuple(row[0] for row in contents), tuple(bool(row[2]) for row in contents)
    return Fit(detector, variant, encoder, ids, members, key)


def digest(root: Path, fit: Fit) -> str | None:
    """SHA-256 of what was learnt; None when it is not there, or damaged."""
    from safetensors import SafetensorError, safe_open

    path = root / fit.path
    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("key") != fit.key:
                return None
        return sha256_file(path)
    except (OSError, SafetensorError):
        return None


def load_learnt(root: Path, fit: Fit) -> dict[str, Tensor]:
    """What was learnt, on the CPU."""
    from safetensors.torch import load_file

    return load_file(root / fit.path)


def _require_apart(rows: pd.DataFrame, rest: pd.DataFrame, detector: Choice, split: str) -> None:
    shared = set(zip(rows["source"], rows["group"], strict=True)) & set(zip(rest["source"], rest["group"], strict=True))
    if shared:
        source, group = min(shared)
        raise UserError(
            f"{detector.owner} would learn from group {group!r} of {source}, which is in split {split!r} and in "
            "another one: what it learnt would be tested on itself; give every group one split"
        )


def _mixed(row: tuple[str, str, str]) -> str:
    return hashlib.sha256(f"{row[0]}\0{row[1]}".encode("utf-8", "surrogatepass")).hexdigest()
