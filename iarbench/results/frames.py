"""Scores in a data frame, as `iarbench.results.scores.load_scores` returns them, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from iarbench.errors import UserError
from iarbench.images.compact import Places, narrowed
from iarbench.results.gather import known_of
from iarbench.results.image_index import ImageIndex
from iarbench.results.known import CellScores, Known, whose
from iarbench.results.quality import Left, left_by_attack


class FrameScores(CellScores):
    """One score in a data frame."""

    def __init__(self, identity: Mapping[str, object], frame: pd.DataFrame, index: ImageIndex) -> None:
        self.main = bool((frame["main_score"] == identity["score_name"]).all())
        self.tells_siblings = bool(frame["tells_siblings"].all())
        self._parts = {str(attack): part for attack, part in frame.groupby("attack", observed=True)}
        self.attacks = tuple(self._parts)
        self._whose, self._index = whose(identity), index

    def known(self, attack: str) -> Known:
        part = self._parts[attack]
        table = pa.Table.from_pandas(part[["image_id", "sha256", "score", "seconds"]], preserve_index=False)
        table = pa.table({name: narrowed(table.column(name)) for name in table.column_names})
        found = known_of([table], self._index, f"{self._whose}/{attack}", int(part["attack_version"].iloc[0]))
        if found is None:
            raise UserError(f"{self._whose}/{attack}: no score belongs to the images; use a fresh --out")
        return found

    def left(self, attack: str, places: Places) -> Left:
        return left_by_attack(self._parts[attack], self._index.ids(places))
