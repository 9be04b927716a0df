"""What detectors are to learn, from which images of a split of their own, and where it is stored.

What was learnt lies in `learnt/<detector>/<target>/<encoder>-<key>.safetensors` below the folder of a run, the key
being the hash of everything it follows from. It holds the digest of its own tensors, so that a damaged one is learnt
again. The hash of the file is in the identity of the scores: when it changes, they are computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from iarbench.detector import fits_once, tells_siblings
from iarbench.errors import UserError
from iarbench.files import write_atomically
from iarbench.harness.asked import Told
from iarbench.harness.choose import Choice
from iarbench.harness.store import safe
from iarbench.images.compact import groups, plain, where
from iarbench.models.variants import Variant
from iarbench.task import Task

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Fit:
    """One detector that learns, for one target or for all, from which images."""

    detector: Choice
    variant: Variant
    """Whose tokenizer and transformer it reads while it learns; one of the targets, where it reads images alone."""
    encoder: str
    target: str | None
    """None: what it learns serves every target."""
    image_ids: tuple[str, ...]
    sources: tuple[str, ...]
    """Who made each image."""
    real: frozenset[str]
    """Those sources that are sets of real images."""
    key: str
    """SHA-256 of everything that what it learns follows from."""

    @property
    def path(self) -> str:
        """Relative to the folder of the run."""
        whose = self.target or "every-target"
        folders = (self.detector.kind.name, whose, f"{self.encoder}-{self.key[:12]}.safetensors")
        return "/".join(["learnt", *map(safe, folders)])


def plan_fit(
    detector: Choice,
    variant: Variant,
    encoder: str,
    identity: dict[str, Any],
    task: Task,
    index: pa.Table,
    setting: dict[str, Any],
    told: Told | None,
) -> Fit:
    """The images of the split `fit_split` that the detector learns from, for one target or for all.

    ``variant``: whose weights it reads; ``identity``: what its scores depend on of the target, with the target's name;
    ``told``: what the detector is told of images beside their pixels.

    Raises:
        UserError: there are no images of its sides in it, or a group of it is also in another split.
    """
    spec = task.spec
    target = None if fits_once(detector.kind) else str(identity["target"])
    fitting = where(index, split=spec.fit_split)
    split = plain(index.take(pa.array(fitting))).to_pandas()
    sides = _sides(detector, target, task)
    rows = split[split["source"].isin(set().union(*sides.values()))]
    for what, sources in sides.items():
        if not rows["source"].isin(sources).any():
            raise UserError(
                f"{detector.owner} learns from images of split {spec.fit_split!r}, and {spec.images} has no {what} in "
                f"it (images of {', '.join(sorted(sources))}); give a set that has, or set fit_split"
            )
    rest = index.take(pa.array(np.setdiff1d(np.arange(len(index)), fitting, assume_unique=True)))
    _require_apart(rows, rest, detector, spec.fit_split)
    # Mixed, and always in the same order.
    order = sorted(zip(rows["image_id"], rows["sha256"], rows["source"], strict=True), key=_mixed)
    # A target's weights and size are in its identity; its name counts where images are its own or not.
    about = {**identity, "target": target}
    ids, makers = tuple(row[0] for row in order), tuple(row[2] for row in order)
    whole = {**detector.identity, **about, **setting, "images": order, "real": sorted(spec.real)}
    if told is not None:
        whole |= told(ids)
    key = hashlib.sha256(json.dumps(whole, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
    return Fit(detector, variant, encoder, target, ids, makers, frozenset(spec.real), key)


def _sides(detector: Choice, target: str | None, task: Task) -> dict[str, set[str]]:
    """What kinds of images it learns from, none of which may be missing, and their sources."""
    if target is None:
        return {"images of the task": {*task.spec.real, *task.generators}}
    siblings = () if tells_siblings(detector.kind) else task.siblings.get(target, ())
    others = task.nonmembers(target) - set(siblings)
    return {f"members of {target}": {target}, f"non-members of {target}": others}


def write_learnt(root: Path, fit: Fit, learnt: Mapping[str, Tensor]) -> None:
    """Store what was learnt, with its key and the digest of its tensors."""
    from safetensors.torch import save

    tensors = dict(learnt)
    # one entry: safetensors writes several in any order, and the hash of the file counts
    data = save(tensors, metadata={"key": f"{fit.key} {_content(save(tensors))[1]}"})
    write_atomically(root / fit.path, lambda file: file.write(data))


def digest(root: Path, fit: Fit) -> str | None:
    """SHA-256 of the file that holds what was learnt; None when it is not there, or damaged."""
    try:
        data = (root / fit.path).read_bytes()
        told, content = _content(data)
    except (OSError, ValueError, AttributeError):
        return None
    if told not in (fit.key, f"{fit.key} {content}"):  # older files tell the key alone
        return None
    return hashlib.sha256(data).hexdigest()


def _content(data: bytes) -> tuple[str, str]:
    """What a safetensors file says that it is, and the SHA-256 of its tensors: names, types, shapes and bytes.

    Raises:
        ValueError, AttributeError: it is none.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    told = (header.pop("__metadata__", None) or {}).get("key", "")
    found = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    found.update(data[end:])
    return str(told), found.hexdigest()


def load_learnt(root: Path, fit: Fit) -> dict[str, Tensor]:
    """What was learnt, on the CPU."""
    from safetensors.torch import load_file

    return load_file(root / fit.path)


def _require_apart(rows: pd.DataFrame, rest: pa.Table, detector: Choice, split: str) -> None:
    same = plain(rest.filter(pc.is_in(groups(rest), pa.array(rows["group"], pa.string())))).to_pandas()
    shared = set(zip(rows["source"], rows["group"], strict=True)) & set(zip(same["source"], same["group"], strict=True))
    if shared:
        source, group = min(shared)
        raise UserError(
            f"{detector.owner} would learn from group {group!r} of {source}, which is in split {split!r} and in "
            "another one: what it learnt would be tested on itself; give every group one split"
        )


def _mixed(row: tuple[str, str, str]) -> str:
    return hashlib.sha256(f"{row[0]}\0{row[1]}".encode("utf-8", "surrogatepass")).hexdigest()
