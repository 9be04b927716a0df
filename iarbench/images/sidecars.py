"""Files that describe the pictures beside them: those of img2dataset, and metadata.csv, .jsonl or .parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from iarbench.images.columns import LABELS, ORIGIN
from iarbench.images.importing import ImportReport

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""What `datasets` reads beside pictures: a row per picture, with the column file_name."""


class About(NamedTuple):
    """What is said about a picture."""

    condition: str | None = None
    """Class or prompt; None if nothing is said about it."""
    licence: str | None = None
    author: str | None = None
    page: str | None = None


class Sidecars:
    """What the files of a folder say about its pictures.

    Args:
        files: (id, path) of every file; the id is the path relative to the folder.
        report: gets a line for a description that cannot be read.
    """

    def __init__(self, files: Iterable[tuple[str, Path]], report: ImportReport) -> None:
        self._by_id: dict[str, About] = {}
        self._by_stem: dict[str, About] = {}
        self._shards: set[str] = set()
        self._only_describe: set[str] = set()
        for file_id, file in files:
            folder = file_id.rpartition("/")[0]
            if file.suffix == ".parquet" and is_img2dataset(file):
                shard = file_id.removesuffix(".parquet")
                self._shards.add(shard)
                self._only_describe |= {file_id, f"{shard}_stats.json"}
                for row in pq.read_table(file).to_pylist():
                    self._by_stem[f"{shard}/{row['key']}"] = _about(row)
            elif file.name in _METADATA:
                try:
                    for row in _rows(file):
                        name = f"{folder}/{row['file_name']}".lstrip("/")
                        self._by_id[name] = _about(row)
                except (OSError, ValueError, KeyError, TypeError, csv.Error, pa.ArrowException) as error:
                    report.skip(str(file), f"does not describe pictures ({type(error).__name__}: {error})")
                self._only_describe.add(file_id)

    def about(self, image_id: str) -> About:
        """What is said about a picture. The shards of img2dataset are no classes, whatever is said about it."""
        said = self._by_id.get(image_id) or self._by_stem.get(image_id.rpartition(".")[0]) or About()
        if image_id.rpartition("/")[0] in self._shards:
            return said._replace(condition=said.condition or "")
        return said

    def only_describes(self, file_id: str) -> bool:
        """Whether the file is there for the sake of pictures alone, and so is none that was left out."""
        beside = file_id.endswith((".json", ".txt")) and file_id.rpartition(".")[0] in self._by_stem
        return beside or file_id in self._only_describe


def is_description(file: Path) -> bool:
    """Whether a Parquet file only describes the pictures beside it."""
    return (file.name in _METADATA and "file_name" in _names(file)) or is_img2dataset(file)


def is_img2dataset(file: Path) -> bool:
    """Whether a Parquet file describes the pictures in the folder of its name, as img2dataset writes them."""
    names = _names(file) if file.with_suffix("").is_dir() else []
    return "key" in names and ("caption" in names or "url" in names) and "jpg" not in names


def _names(file: Path) -> list[str]:
    try:
        return list(pq.read_schema(file).names)
    except (OSError, pa.ArrowException):
        return []


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".parquet":
        yield from pq.read_table(file).to_pylist()
        return
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix == ".csv":
            yield from csv.DictReader(lines)
        else:
            yield from (json.loads(line) for line in lines if line.strip())


def _about(row: dict[str, Any]) -> About:
    def first(names: Iterable[str]) -> str | None:
        return next((str(row[name]) for name in names if isinstance(row.get(name), str | int | float)), None)

    return About(first(LABELS), **{role: first(names) for role, names in ORIGIN.items()})
