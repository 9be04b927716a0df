"""Reading the per-image scores of a run: a folder that holds

* `scores/**/*.parquet`: rows (image_id, sha256, score_name, score, seconds); the schema metadata under `b"iarbench"` is
  a JSON object that says whose scores they are, so that a part needs no file name to be understood;
* `quality/**/*.parquet`: the same for what attacks did to images, psnr and ssim being the score names;
* `images.parquet`: the index (image_id, sha256, source, split, group) of every image the run was asked to score.

A score belongs to the bytes it was computed from: parts whose sha256 no longer matches the index do not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from iarbench.errors import UserError
from iarbench.images.compact import INDEX_COLUMNS, compact, join, plain

IDENTITY = (
    "detector",
    "detector_version",
    "parameters",
    "encoder",
    "target",
    "target_weights",
    "precision",
    "attack",
    "attack_version",
)
"""What a part says about itself; its rows carry these as columns."""

FACTS = ("main_score", "tells_siblings", "fitted")
"""What else rows follow from: the name of the score that stands for the detector (its namesake, else the first that
it gives), whether the detector reads more than what generators with one tokenizer share, and whether it learns from
images of the benchmark."""

QUALITY = "quality"
"""Folder of the parts that say what attacks did to images."""

MEASURES = ("psnr", "ssim")
"""What they say: dB, infinite where nothing changed, and at most 1 (`iarbench.attacks.quality`)."""

PART_COLUMNS = ("image_id", "sha256", "score_name", "score", "seconds")
SIZE = "image_size"
MEASURED_BY = ["image_id", "sha256", "attack", "attack_version", SIZE]
"""What a measure belongs to."""

ANEW = "delete it and repeat the `iarbench run` command, which writes it anew"


def load_scores(run: Path, parts: Iterable[str] | None = None) -> pd.DataFrame:
    """All scores of the run, long: one row per image and score name, columns PART_COLUMNS + IDENTITY + FACTS + MEASURES
    (NaN where an image was not measured).

    `score` float64, higher = more likely made by the target; `seconds` float64 per image. The order is the files'.
    `parts`: the files to read, relative to `run`; without it every file there is. Raises UserError when there are none
    or one cannot be read.
    """
    if parts is None:
        every = (*(run / "scores").rglob("*.parquet"), *(run / QUALITY).rglob("*.parquet"))
        parts = sorted(path.relative_to(run).as_posix() for path in every)
    paths = {part: run / part for part in parts}
    measured = [_read_measures(path) for part, path in paths.items() if part.startswith(f"{QUALITY}/")]
    parts_read = [_read_part(path) for part, path in paths.items() if not part.startswith(f"{QUALITY}/")]
    if not parts_read:
        raise UserError(f"no scores in {run}: give the folder that `iarbench run --out` wrote")
    # Joined before they become a data frame, which takes a hundred times as long as reading a small part.
    frame = pa.concat_tables([table for table, _ in parts_read]).to_pandas()
    lengths = [len(table) for table, _ in parts_read]
    columns = (*IDENTITY, *FACTS, SIZE)
    frame = frame.assign(**{key: repeated([about[key] for _, about in parts_read], lengths) for key in columns})
    return _with_measures(frame, measured).drop(columns=SIZE)


def repeated(values: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Each value as often as its length says; an array of text takes the longest one's bytes for every row."""
    if not isinstance(values[0], str):
        return np.repeat(values, lengths)
    names, codes = np.unique(values, return_inverse=True)
    indices = pa.array(np.repeat(codes.astype(np.int32), lengths))
    return pa.DictionaryArray.from_arrays(indices, pa.array(names.tolist())).cast(pa.string()).to_pandas()


def about_part(schema: pa.Schema) -> dict[str, Any]:
    """What a part says about itself; nothing where that cannot be read."""
    try:
        about: dict[str, Any] = json.loads((schema.metadata or {}).get(b"iarbench", b"{}"))
    except ValueError:
        return {}
    return about


def _with_measures(scores: pd.DataFrame, measured: Sequence[tuple[pa.Table, dict[str, Any]]]) -> pd.DataFrame:
    if not measured:
        return scores.assign(**dict.fromkeys(MEASURES, np.nan))
    frame = pa.concat_tables([table for table, _ in measured]).to_pandas()
    lengths = [len(table) for table, _ in measured]
    frame = frame.assign(**{key: np.repeat([about[key] for _, about in measured], lengths) for key in MEASURED_BY[2:]})
    # A folder read without a list of its parts may hold those of earlier runs.
    frame = frame.drop_duplicates([*MEASURED_BY, "score_name"], keep="last")
    for name in MEASURES:
        one = frame[frame["score_name"] == name].rename(columns={"score": name})
        scores = scores.merge(one[[*MEASURED_BY, name]], on=MEASURED_BY, how="left")
    return scores


def _read_measures(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    table = _read_table(path)
    about = described_measures(path, table.schema)
    return table.select(["image_id", "sha256", "score_name", "score"]).replace_schema_metadata(None), about


def current(scores: pd.DataFrame, images: pd.DataFrame, task: str, targets: Sequence[str]) -> pd.DataFrame:
    """The scores by these targets that were computed from the images' bytes as they are: what was computed from others
    under the same id does not count. `task`: its name.

    Raises:
        UserError: there are none.
    """
    of_targets = scores[scores["target"].isin(targets)]
    found = of_targets.merge(images[["image_id", "sha256"]], on=["image_id", "sha256"])
    if found.empty:
        raise UserError(f"no score of task {task} belongs to its images; check --target or use a fresh --out")
    return found


def _read_part(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    table = _read_table(path)
    about = described(path, table.schema)
    names = pc.unique(table.column("score_name")).to_pylist()
    return table.select(list(PART_COLUMNS)).replace_schema_metadata(None), about | facts(about, names)


def described(path: Path, schema: pa.Schema) -> dict[str, Any]:
    """What a part of scores says about itself. Raises UserError when it is none."""
    about = about_part(schema)
    if missing := [key for key in IDENTITY if about.get(key) is None] + _lacking(schema, PART_COLUMNS):
        raise UserError(f"{path} is not a part of scores: it lacks {', '.join(missing)}; {ANEW}")
    return {SIZE: 0} | about


def described_measures(path: Path, schema: pa.Schema) -> dict[str, Any]:
    """What a part of measures says about itself. Raises UserError when it is none."""
    about = about_part(schema)
    if missing := [key for key in MEASURED_BY[2:] if key not in about] + _lacking(schema, PART_COLUMNS):
        raise UserError(f"{path} does not say what an attack did to images: it lacks {', '.join(missing)}; {ANEW}")
    return about


def facts(about: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The `FACTS` of a part that says this about itself and has scores of these names, in this order."""
    main = about["detector"] if about["detector"] in names else next(iter(names), "")
    found = {"main_score": main, "tells_siblings": bool(about.get("tells_siblings"))}
    return found | {"fitted": "gallery" in about.get("reads", ())}


def load_index(run: Path) -> pd.DataFrame:
    """The image index of the run: one row per image, columns INDEX_COLUMNS. Raises UserError when it is not there."""
    return plain(join(index_pieces(run))).to_pandas()


def index_pieces(run: Path) -> list[pa.Table]:
    """The same as compact tables (`iarbench.images.compact`) that follow each other."""
    path = run / "images.parquet"
    if not path.is_file():
        raise UserError(f"no images.parquet in {run}: give the folder that `iarbench run --out` wrote")
    with opened(path) as file:
        if missing := _lacking(file.schema_arrow, INDEX_COLUMNS):
            raise UserError(f"{path} lacks the columns {', '.join(missing)}; {ANEW}")
        # batches that cross the borders of row groups take three times the memory
        groups = (file.read_row_group(group, list(INDEX_COLUMNS)) for group in range(file.num_row_groups))
        return [compact(table) for table in groups]


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file of a run, whose pages are checked as they are read. Raises UserError when it cannot be read."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot read {path} ({reason}); {ANEW}") from error


def _read_table(path: Path) -> pa.Table:
    with opened(path) as file:
        return file.read(use_threads=False)


def _lacking(schema: pa.Schema, columns: tuple[str, ...]) -> list[str]:
    return [column for column in columns if column not in schema.names]
