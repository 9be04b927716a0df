"""The stored scores of a run, a detector at a target under an attack at a time: what parts say of themselves is read
first, their scores when they are asked for. Nothing but the index grows with the number of images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.images.compact import Places
from iarbench.results.gather import known_of, left_of
from iarbench.results.image_index import ImageIndex
from iarbench.results.known import CellScores, Known, whose
from iarbench.results.quality import Left
from iarbench.results.scores import (  # fmt: skip
    IDENTITY,
    MEASURED_BY,
    MEASURES,
    QUALITY,
    SIZE,
    described,
    described_measures,
    facts,
    opened,
)

OF_PARTS = tuple(name for name in IDENTITY if name not in ("attack", "attack_version"))
"""What the parts of one detector at one target have in common."""

Measured = Mapping[tuple[Any, ...], Sequence[Path]]
"""(attack, version, size) -> the parts that say what it did to images."""


@dataclass(slots=True)
class _Parts:
    """The parts of one detector at one target. `names`: its scores; `attacks`: attack -> version, image size, files."""

    names: dict[str, None] = field(default_factory=dict)
    main: set[str] = field(default_factory=set)
    tells_siblings: bool = True
    attacks: dict[str, tuple[int, int, list[Path]]] = field(default_factory=dict)


class StoredScores(CellScores):
    """One score in the files of a run."""

    def __init__(self, identity: Mapping[str, Any], parts: _Parts, measured: Measured, index: ImageIndex) -> None:
        self._name, self._whose = identity["score_name"], whose(identity)
        self.main = parts.main == {self._name}
        self.tells_siblings = parts.tells_siblings
        self.attacks = tuple(parts.attacks)
        self._parts, self._measured, self._index = parts, measured, index

    def known(self, attack: str) -> Known:
        version, _, paths = self._parts.attacks[attack]
        tables = (table for path in paths for _, table in _named(path, [self._name], ("seconds",)))
        found = known_of(tables, self._index, f"{self._whose}/{attack}", version)
        if found is None:
            raise UserError(f"{self._whose}/{attack}: no score belongs to the images of the run; use a fresh --out")
        return found

    def left(self, attack: str, places: Places) -> Left:
        version, size, _ = self._parts.attacks[attack]
        paths = self._measured.get((attack, version, size), ())
        return left_of((table for path in paths for table in _named(path, MEASURES)), self._index, places)


def stored_scores(
    root: Path, parts: Iterable[str], targets: Sequence[str], index: ImageIndex
) -> Iterator[tuple[dict[str, Any], StoredScores]]:
    """Identity and scores of every named score of every detector at these targets, in an order that depends on neither
    files nor batches. `parts`: relative to `root`.

    Raises:
        UserError: a part cannot be read, or there are none.
    """
    found: dict[tuple[Any, ...], _Parts] = {}
    measured: dict[tuple[Any, ...], list[Path]] = {}
    for part in parts:
        path = root / part
        if part.startswith(f"{QUALITY}/"):
            with opened(path) as file:
                about = described_measures(path, file.schema_arrow)
            measured.setdefault(tuple(about[key] for key in MEASURED_BY[2:]), []).append(path)
        else:
            _note(path, found, targets)
    if not found:
        raise UserError(f"no scores of {', '.join(targets)} in {root}: give the folder that `iarbench run --out` wrote")
    each = [
        (dict(zip(OF_PARTS, key, strict=True)) | {"score_name": name}, parts_of_it)
        for key, parts_of_it in found.items()
        for name in parts_of_it.names
    ]
    for identity, parts_of_it in each:
        yield identity, StoredScores(identity, parts_of_it, measured, index)


def _note(path: Path, found: dict[tuple[Any, ...], _Parts], targets: Sequence[str]) -> None:
    with opened(path) as file:
        about = described(path, file.schema_arrow)
        if about["target"] not in targets:
            return
        names = _names(file)
    known = facts(about, names)
    mine = found.setdefault(tuple(about[key] for key in OF_PARTS), _Parts())
    mine.names |= dict.fromkeys(names)
    mine.main.add(known["main_score"])
    mine.tells_siblings &= known["tells_siblings"]
    attack = mine.attacks.setdefault(str(about["attack"]), (int(about["attack_version"]), about[SIZE], []))
    attack[2].append(path)


def _names(file: pq.ParquetFile) -> list[str]:
    """The names of the scores of a part, in its order: from its statistics where there is only one."""
    if file.num_row_groups == 1:
        told = file.metadata.row_group(0).column(file.schema_arrow.names.index("score_name")).statistics
        if told is not None and told.has_min_max and told.min == told.max:
            return [str(told.min)]
    return list(pc.unique(file.read(["score_name"], use_threads=False).column(0)).to_pylist())


def _named(path: Path, names: Sequence[str], more: Sequence[str] = ()) -> Iterator[tuple[str, pa.Table]]:
    """Name and rows (image_id, sha256, score and `more`) of these scores of a part."""
    columns = ["image_id", "sha256", "score", *more]
    with opened(path) as file:
        alone = len(names) == 1 and _names(file) == list(names)
        table = file.read(columns if alone else [*columns, "score_name"], use_threads=False)
    for name in names:
        rows = table if alone else table.filter(pc.equal(table.column("score_name"), name))
        yield name, rows
