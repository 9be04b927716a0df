"""docs/images.md: its commands run, its source works, its table of columns is whole."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from doc_pages import ROOT, blocks
from PIL import Image

from iarbench.cli import main
from iarbench.images.image_set import ImageSet
from iarbench.images.shards import COLUMNS

PAGE = "docs/images.md"


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (80, 90, 3), dtype=np.uint8)).save(f"photos/{number}.jpg")
    files = [Path(f"photos/{number}.jpg").read_bytes() for number in range(3)]
    table = pa.table({"image": files, "caption": ["a", "b", "c"], "photo": ["x", "x", "y"]})
    pq.write_table(table, "photos.parquet")
    (source,) = blocks(PAGE, "python")
    Path("mine.py").write_text(source)
    for line in "".join(blocks(PAGE, "bash")).splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    assert len(ImageSet.open("sets/both")) == 5
    assert len(ImageSet.open("sets/small")) == 3947
    assert set(ImageSet.open("sets/table").index()["condition"]) == {"a", "b", "c"}
    assert set(ImageSet.open("sets/mine").index()["source"]) == {"photos"}


def test_the_page_has_every_column() -> None:
    lines = (ROOT / PAGE).read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| `")]
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == COLUMNS
