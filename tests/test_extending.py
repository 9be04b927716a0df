"""Every example of docs/extending.md: its files are written, its commands run, on few images."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from doc_pages import blocks
from PIL import Image

from iarbench.cli import main
from iarbench.content import images_path
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.results.rows import read_rows

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
FILES = re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = "".join(blocks("docs/extending.md", "bash")).splitlines()


def picture(folder: Path, name: str, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((80, 70), Image.Resampling.BICUBIC).save(folder / f"{name}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page says is there: its files, and folders of pictures."""
    root = tmp_path_factory.mktemp("extending")
    for name, text in FILES:
        (root / name).write_text(text)
    for number in range(24):
        picture(root / "pictures" / f"class{number % 2}", str(number), number)
        picture(root / "photographs", str(number), 100 + number)
    (root / "made-by-it").mkdir()
    own = ImageSet.open(images_path("iarbench-mini")).filter(source="llamagen-mini", split="test")
    for record in next(own.iterate(24)):
        record.pil().save(root / "made-by-it" / f"{record.image_id.replace('/', '-')}.png")
    return root


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_works_as_written(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    words = shlex.split(line)
    if words[0].startswith("IARBENCH_GENERATORS="):
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    variants._all.cache_clear()
    assert words.pop(0) == "iarbench"
    if words[0] == "run" and "--members" not in words:
        words += ["--limit", "10", "--quiet"]
    if words[0] == "train":
        words += ["--batch-size", "4"]
    assert main(words) == 0
    if words[0] == "run":
        rows = read_rows(Path(words[words.index("--out") + 1]) / "results.jsonl")
        assert any(row.metric == "auroc" and row.value is not None for row in rows)


def test_parameters_stand_in_the_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (line,) = (line for line in COMMANDS if "--out runs/plain" in line)
    assert main([*shlex.split(line)[1:], "--limit", "10", "--quiet"]) == 0
    rows = read_rows(folder / "runs" / "plain" / "results.jsonl")
    assert {row.parameters for row in rows} == {"", "power=1"}
