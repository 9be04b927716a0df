"""Which images play which role in a comparison, from the image index of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from iarbench.errors import UserError
from iarbench.stats.thresholds import ScoreError, Scores

Sources = tuple[str, ...]
Most = tuple[tuple[str, int], ...]
"""(source, how many of its images take part), for sources of which not all do."""


@dataclass(frozen=True, slots=True)
class Role:
    """Images of one split: the union of `parts`, each the sources of one equally weighted set; of each source that
    `most` names no more than the first by id.
    """

    parts: tuple[Sources, ...]
    split: str
    most: Most = ()

    def __str__(self) -> str:
        return f"{self.split} images of {', '.join(source for part in self.parts for source in part)}"


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images of one part of a role, sorted by id, each (n,); `units`: the group, made unique to its source."""

    ids: npt.NDArray[np.object_]
    sha256: npt.NDArray[np.object_]
    units: npt.NDArray[np.object_]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Images:
        # plain objects: going through pandas' string arrays again and again costs more than the statistics
        return cls(*(frame[column].to_numpy(dtype=object) for column in ("image_id", "sha256", "unit")))


class ImageIndex:
    """The index of a run (image_id, sha256, source, split, group), looked up by role, always in image_id order."""

    def __init__(self, images: pd.DataFrame) -> None:
        if (twice := images["image_id"].duplicated()).any():
            raise UserError(f"image {images['image_id'][twice].iloc[0]} is in the index twice; ids must be unique")
        # the same label may name different photographs in two sources
        self._images = images.assign(unit=images["source"] + "/" + images["group"]).sort_values("image_id")
        self.part = cache(self._part)
        self.fingerprint = cache(self._fingerprint)

    def _part(self, sources: Sources, split: str, most: Most) -> Images:
        """The images of `sources` in `split`."""
        found = self._images[self._images["source"].isin(sources) & (self._images["split"] == split)]
        if most:
            found = found[found.groupby("source").cumcount() < found["source"].map(dict(most)).fillna(len(found))]
        return Images.of(found)

    def count(self, role: Role) -> int:
        return sum(len(self.part(sources, role.split, role.most).ids) for sources in role.parts)

    def count_groups(self, role: Role) -> int:
        return sum(len(set(self.part(sources, role.split, role.most).units)) for sources in role.parts)

    def _fingerprint(self, *roles: Role) -> str:
        """SHA-256 over place of role and set, image_id and sha256 of exactly the images in `roles`."""
        digest = hashlib.sha256()
        for place, role in enumerate(roles):
            for number, sources in enumerate(role.parts):
                images = self.part(sources, role.split, role.most)
                for name, content in zip(images.ids, images.sha256, strict=True):
                    digest.update(f"{place}.{number} {name} {content}\n".encode())
        return digest.hexdigest()

    def scores(self, role: Role, known: Mapping[str, float], whose: str) -> Scores:
        """Scores of every image of `role` out of `known` (image_id -> score).

        Raises ScoreError when there is no such image or a score is not finite, UserError when `known` lacks one.
        """
        return Scores.pool([self._part_scores(replace(role, parts=(sources,)), known, whose) for sources in role.parts])

    def _part_scores(self, role: Role, known: Mapping[str, float], whose: str) -> Scores:
        for source in role.parts[0]:
            if not len(self.part((source,), role.split, role.most).ids):
                raise ScoreError(f"no {replace(role, parts=((source,),))}")
        images = self.part(role.parts[0], role.split, role.most)
        found = [known[name] for name in images.ids if name in known]
        if lacking := len(images.ids) - len(found):
            raise UserError(
                f"{whose}: {lacking} of {len(images.ids)} {role} have no score yet; repeat the run command to finish it"
            )
        return Scores.of(found, images.units)

    def check_apart(self, calibration: str, tests: Iterable[str]) -> None:
        """Raise UserError when a group is in the `calibration` split and in one of the `tests` splits."""
        units = {split: set(part["unit"]) for split, part in self._images.groupby("split")}
        for test in sorted(tests):
            if shared := sorted(units.get(calibration, set()) & units.get(test, set())):
                raise UserError(f"group {shared[0]} is in both {calibration} and {test}; put each group in one split")
