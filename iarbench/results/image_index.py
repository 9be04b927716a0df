"""Which images play which role in a comparison, from the image index of a run."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from iarbench.errors import UserError
from iarbench.images.compact import INDEX_COLUMNS, IdTable, Places, compact, join, one_piece, pack, unpack
from iarbench.results.known import Known
from iarbench.stats.thresholds import ScoreError, Scores

Sources = tuple[str, ...]
Most = tuple[tuple[str, int], ...]
"""(source, how many of its images take part), for sources of which not all do."""

_AT_ONCE = 2**16


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


class ImageIndex:
    """The index of a run, looked up by role, always in image_id order: a place is a row in that order."""

    def __init__(self, images: pd.DataFrame | list[pa.Table]) -> None:
        """`images`: columns INDEX_COLUMNS; or compact tables of them (`iarbench.images.compact`), which the list has
        no more afterwards.

        Raises:
            UserError: an id occurs twice.
        """
        if isinstance(images, pd.DataFrame):
            images = [compact(pa.Table.from_pandas(images[list(INDEX_COLUMNS)], preserve_index=False))]
        # a column at a time: two copies of all of them would be the most that is ever held
        columns = dict(zip(INDEX_COLUMNS, join(images).select(INDEX_COLUMNS).columns, strict=True))
        order = pc.sort_indices(columns["image_id"])
        for name in INDEX_COLUMNS:
            columns[name] = one_piece(columns[name].take(order))
            pa.default_memory_pool().release_unused()
        del order
        self._ids, self._sha256, self._group = columns["image_id"], columns["sha256"], columns["group"]
        self._sources, self._source = _codes(columns["source"])
        self._splits, self._split = _codes(columns["split"])
        same = pc.equal(self._ids.slice(1), self._ids.slice(0, max(0, len(self) - 1)))
        if (twice := pc.index(same, True).as_py()) >= 0:
            raise UserError(f"image {self._ids[twice]} is in the index twice; ids must be unique")
        self.part = cache(self._part)
        self.fingerprint = cache(self._fingerprint)
        self.count_groups = cache(self._count_groups)

    def __len__(self) -> int:
        return len(self._ids)

    @cached_property
    def _units(self) -> npt.NDArray[np.int32]:
        """(n,) the group of each image, made unique to its source, as a number in the order of their names."""
        # the same label may name different photographs in two sources
        names = pc.binary_join_element_wise(
            pa.DictionaryArray.from_arrays(pa.array(self._source), pa.array(self._sources)).cast(pa.string()),
            pc.coalesce(self._group, self._ids),
            "/",
        )
        numbers = pc.rank(names, tiebreaker="dense").to_numpy().astype(np.int32)
        del names
        pa.default_memory_pool().release_unused()
        numbers -= 1
        return numbers

    @cached_property
    def _table(self) -> IdTable:
        """Where each id stands, for parts whose images do not follow each other."""
        return IdTable(self._ids)

    def _part(self, sources: Sources, split: str, most: Most) -> Places:
        """Places of the images of `sources` in `split`."""
        wanted = np.isin(self._source, [self._sources.index(name) for name in sources if name in self._sources])
        if split not in self._splits:
            return np.array([], dtype=np.int64)
        found = np.flatnonzero(wanted & (self._split == self._splits.index(split))).astype(np.int32)
        keep = np.ones(len(found), dtype=bool)
        for source, count in most:
            if source in self._sources:
                mine = np.flatnonzero(self._source[found] == self._sources.index(source))
                keep[mine[count:]] = False
        return found[keep]

    def ids(self, places: Places) -> npt.NDArray[np.object_]:
        """(n,) the ids of images."""
        return np.asarray(self._ids.take(pa.array(places)).to_numpy(zero_copy_only=False), dtype=object)

    def units(self, places: Places) -> npt.NDArray[np.object_]:
        """(n,) the names of their groups, made unique to their sources."""
        named = pc.coalesce(self._group, self._ids).take(pa.array(places)).to_pylist()
        sources = self._source[places].tolist()
        return np.array([f"{self._sources[s]}/{name}" for s, name in zip(sources, named, strict=True)], dtype=object)

    def places(self, image_ids: pa.Array, sha256: pa.Array) -> Places:
        """(n,) the places of images, -1 for those that are not in the index with these bytes."""
        if not len(image_ids):
            return np.array([], dtype=np.int64)
        begin = bisect_left(range(len(self)), image_ids[0].as_py(), key=lambda place: str(self._ids[place].as_py()))
        # most parts hold images that follow each other
        if self._ids.slice(begin, len(image_ids)).equals(image_ids):
            found: Places = np.arange(begin, begin + len(image_ids))
        else:
            found = self._table.places(image_ids)
        known = np.flatnonzero(found >= 0)
        same = _same(self._sha256, found[known], sha256, known)
        found[known[~same]] = -1
        return found

    def count(self, role: Role) -> int:
        return sum(len(self.part(sources, role.split, role.most)) for sources in role.parts)

    def _count_groups(self, role: Role) -> int:
        return sum(len(np.unique(self._units[self.part(sources, role.split, role.most)])) for sources in role.parts)

    def _fingerprint(self, *roles: Role) -> str:
        """SHA-256 over place of role and set, image_id and sha256 of exactly the images in `roles`."""
        digest = hashlib.sha256()
        for number, role in enumerate(roles):
            for part, sources in enumerate(role.parts):
                places = self.part(sources, role.split, role.most)
                for start in range(0, len(places), _AT_ONCE):
                    some = pa.array(places[start : start + _AT_ONCE])
                    ids, hashes = self._ids.take(some), unpack(self._sha256.take(some))
                    lines = pc.binary_join_element_wise(f"{number}.{part}", ids, hashes, " ").to_pylist()
                    digest.update(("\n".join(lines) + "\n").encode())
        return digest.hexdigest()

    def scores(self, role: Role, known: Known, whose: str) -> Scores:
        """Scores of every image of `role`.

        Raises ScoreError when there is no such image or a score is not finite, UserError when `known` lacks one.
        """
        return Scores.pool([self._part_scores(replace(role, parts=(sources,)), known, whose) for sources in role.parts])

    def _part_scores(self, role: Role, known: Known, whose: str) -> Scores:
        for source in role.parts[0]:
            if not len(self.part((source,), role.split, role.most)):
                raise ScoreError(f"no {replace(role, parts=((source,),))}")
        places = self.part(role.parts[0], role.split, role.most)
        if lacking := int((~known.there[places]).sum()):
            raise UserError(
                f"{whose}: {lacking} of {len(places)} {role} have no score yet; repeat the run command to finish it"
            )
        return Scores.of(known.scores[places], self._units[places])

    def check_apart(self, calibration: str, tests: Iterable[str]) -> None:
        """Raise UserError when a group is in the `calibration` split and in one of the `tests` splits."""
        units = {split: self._units[self._split == code] for code, split in enumerate(self._splits)}
        for test in sorted(tests):
            if len(shared := np.intersect1d(*(units.get(split, np.array([])) for split in (calibration, test)))):
                (name,) = self.units(np.flatnonzero(self._units == shared[0])[:1])
                raise UserError(f"group {name} is in both {calibration} and {test}; put each group in one split")


def _codes(column: pa.DictionaryArray) -> tuple[list[str], npt.NDArray[np.int16]]:
    """The names of a column, and which of them each row has."""
    return column.dictionary.to_pylist(), column.indices.to_numpy().astype(np.int16)


def _same(mine: pa.Array, at: Places, theirs: pa.Array, there: Places) -> npt.NDArray[np.bool_]:
    """(n,) whether the hashes at these places are the same."""
    packed = pack(pa.chunked_array([theirs])) if pa.types.is_fixed_size_binary(mine.type) else theirs
    packed = one_piece(packed)
    if packed.type != mine.type:
        mine = unpack(mine.take(pa.array(at)))
        at = np.arange(len(mine))
    return pc.equal(mine.take(pa.array(at)), packed.take(pa.array(there))).to_numpy(zero_copy_only=False)
