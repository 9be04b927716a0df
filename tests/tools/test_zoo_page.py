"""docs/zoo.md is what tools/zoo_page.py writes, and its commands run."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from iarbench.cli import main
from iarbench.models import variants

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "zoo.md").read_text()


def test_the_page_is_what_the_descriptions_say() -> None:
    tool = [sys.executable, str(ROOT / "tools" / "zoo_page.py")]
    assert subprocess.run(tool, capture_output=True, text=True, check=True).stdout == PAGE


def setting(name: str) -> str:
    """A value that the page's first block sets for all others."""
    (line,) = re.findall(rf"^{name}=(.*)$", PAGE, re.MULTILINE)
    (value,) = shlex.split(line, comments=True)
    return value


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """One random picture of each of the page's labels."""
    rng, rows, labels = np.random.default_rng(0), [], [int(label) for label in setting("LABELS").split(",")]
    for _ in labels:
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    pq.write_table(pa.table({"image": rows, "label": labels}), tmp_path / "pictures.parquet")
    return tmp_path / "pictures.parquet"


@pytest.mark.long
@pytest.mark.parametrize("family", ["infinity", "llamagen", "rar", "taming", "var"])
def test_the_commands_of_a_generator_make_it_anew(
    family: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = re.search(rf"```bash\n(iarbench train tokenizer --like {family}-mini .*?)```", PAGE, re.DOTALL)
    assert block
    assert "\nmkdir -p zoo; export IARBENCH_GENERATORS=zoo " in PAGE
    (tmp_path / "zoo").mkdir()
    monkeypatch.setenv("IARBENCH_GENERATORS", str(tmp_path / "zoo"))
    values = {"$PICTURES": str(pictures), "$LABELS": setting("LABELS"), "$CLASSES": setting("CLASSES")}
    try:
        for line in block[1].replace("\\\n", " ").splitlines():
            words = [values.get(word, word) for word in shlex.split(line)[1:]]
            words = [str(tmp_path / "zoo") if word == "zoo/" else word for word in words]
            words[words.index("--minutes") + 1] = "0.01"
            variants._all.cache_clear()
            assert main([*words, *(["--count", "8"] if words[0] == "finetune" else []), "--threads", "1"]) == 0, line
        made = {file.name.removeprefix(f"my-{family}-mini-") for file in (tmp_path / "zoo").glob("*.safetensors")}
        assert made == {f"{part}.safetensors" for part in ("tokenizer", "transformer", "inverse", "inverse-aug")}
    finally:
        variants._all.cache_clear()
