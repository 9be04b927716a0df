"""All scores of a run in one small Parquet file: a row per image, a column a named score of a detector for a target.

It holds what rows are computed from and no more: scores as float32 where that is exact, else as float64; what attacks
left of images as float32; and, in the metadata under `iarbench`, whose scores a column has and how many seconds an
image took on average. The images are those of an index file, in its order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.files import write_atomically
from iarbench.results.scores import FACTS, IDENTITY, MEASURES, repeated

NAMED = (*IDENTITY, *FACTS, "score_name")
"""What a column is named by."""


def write_index(index: pd.DataFrame, path: Path) -> None:
    """Store the images that scores are of (image_id, sha256, source, split, group), sorted by id."""
    table = pa.Table.from_pandas(index.sort_values("image_id"), preserve_index=False).replace_schema_metadata(None)
    write_atomically(path, lambda file: pq.write_table(table, file, compression="zstd", compression_level=19))


def read_index(path: Path) -> pd.DataFrame:
    """The images of an index file. Raises UserError when it cannot be read."""
    try:
        found: pd.DataFrame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"cannot read {path} ({str(error).splitlines()[0]})") from None
    return found


def write_scores(scores: pd.DataFrame, index: pd.DataFrame, path: Path) -> None:
    """Store `scores` as `iarbench.results.scores.load_scores` returns them, in the order of the index's ids.

    Raises:
        UserError: a score of an image that the index does not have, or two of one image.
    """
    ids = pd.Index(index["image_id"].sort_values())
    hashes = index.set_index("image_id")["sha256"].reindex(ids).to_numpy()
    columns: dict[str, np.ndarray] = {}
    cells: list[dict[str, Any]] = []
    measured: dict[bytes, str] = {}
    for names, part in scores.groupby(list(NAMED), sort=True):
        places = ids.get_indexer(part["image_id"])
        about = dict(zip(NAMED, map(_plain, names), strict=True))
        if (places < 0).any() or (hashes[places] != part["sha256"].to_numpy()).any():
            raise UserError(f"{about['detector']}/{about['target']}: a score is of an image that images.parquet lacks")
        if len(set(places.tolist())) < len(places):
            raise UserError(f"{about['detector']}/{about['target']}/{about['attack']}: an image has two scores")
        cell = {**about, "column": f"s{len(cells)}", "seconds": float(part["seconds"].mean())}
        columns[cell["column"]] = _narrow(_spread(part["score"].to_numpy(), places, len(ids)))
        for name in MEASURES:
            values = _spread(part[name].to_numpy(), places, len(ids)).astype(np.float32)
            if not np.isnan(values).all():
                column = measured.setdefault(name.encode() + values.tobytes(), f"{name}{len(measured)}")
                cell[name], columns[column] = column, values
        present = np.zeros(len(ids), dtype=bool)
        present[places] = True
        cell["images"] = _runs(present)
        cells.append(cell)
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    table = table.replace_schema_metadata({b"iarbench": json.dumps({"version": 1, "cells": cells}).encode()})
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 19, "use_dictionary": False}
    split = dict.fromkeys(columns, "BYTE_STREAM_SPLIT")
    write_atomically(path, lambda file: pq.write_table(table, file, column_encoding=split, **options))


def read_scores(path: Path, index: pd.DataFrame) -> pd.DataFrame:
    """The scores as `load_scores` returns them; `index` as stored. Raises UserError when they cannot be read."""
    try:
        table = pq.read_table(path)
        cells = json.loads((table.schema.metadata or {})[b"iarbench"])["cells"]
        parts = [_long(cell, table, index) for cell in cells]
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise UserError(f"cannot read {path} ({str(error).splitlines()[0]})") from None
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    lengths = [len(part["score"]) for part in parts]
    names = {name: repeated([cell[name] for cell in cells], lengths) for name in NAMED}
    return pd.DataFrame({**joined, **names})


def _long(cell: dict[str, Any], table: pa.Table, index: pd.DataFrame) -> dict[str, np.ndarray]:
    places = np.concatenate([np.arange(start, end) for start, end in cell["images"]])
    found: dict[str, np.ndarray] = {name: index[name].to_numpy(dtype=object)[places] for name in ("image_id", "sha256")}
    found["score"] = table.column(cell["column"]).to_numpy()[places].astype(np.float64)
    found["seconds"] = np.full(len(places), cell["seconds"])
    for name in MEASURES:
        values = table.column(cell[name]).to_numpy()[places] if name in cell else np.full(len(places), np.nan)
        found[name] = values.astype(np.float64)
    return found


def _spread(values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    found = np.full(count, np.nan)
    found[places] = values
    return found


def _narrow(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow.astype(np.float64), values, equal_nan=True) else values


def _runs(present: np.ndarray) -> list[tuple[int, int]]:
    """Where it is true, as [start, end) pairs."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], present.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
