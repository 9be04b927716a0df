"""The README tells the truth: its commands parse, its snippet runs, its table is the stored result."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from doc_pages import blocks, cells, commands
from PIL import Image
from stored_board import STRENGTHS, of_demo, of_mini

from iarbench.cli import main, parser
from iarbench.models import variants
from iarbench.results import tables
from iarbench.results.view import View
from iarbench.task import Task
from tools.marked_part import MarkedPart

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "docs" / "results.md"


@pytest.mark.parametrize("command", commands("README.md"))
def test_every_command_is_understood(command: str) -> None:
    assert parser().parse_args(shlex.split(command)[1:]).command


def test_the_table_is_the_stored_result_of_the_command_above_it() -> None:
    table = MarkedPart(ROOT / "README.md", "table").read()
    assert table == tables.markdown(of_demo()).strip()
    command = README.split("<!-- command -->")[1].split("```bash\n")[1].split("\n")[0]
    demo = (ROOT / "Makefile").read_text().split("\ndemo:")[1].split("\n")[1].strip()
    assert demo == f"$(BIN)/{command}"


def test_the_table_fits_a_glance() -> None:
    table = MarkedPart(ROOT / "README.md", "table").read()
    assert len(table.splitlines()) - 2 <= 12


def test_the_long_table_is_the_stored_result() -> None:
    table = MarkedPart(RESULTS, "table").read()
    assert table == tables.markdown(of_mini(), View(all_scores=True, all_encoders=True)).strip()


@pytest.mark.parametrize(
    ("part", "detectors", "attacks"),
    [
        ("strengths", ("quantloss",), STRENGTHS),
        ("fusion", ("fusion",), ("none", "jpeg50", "noise0.05")),
        ("other", ("fusion", "quantloss"), ("contrast2", "webp60")),
        ("searches", ("quantloss-moves", "quantloss-descent", "quantloss-reference"), ("none",)),
    ],
)
def test_tables_of_few_detectors_are_the_stored_results(
    part: str, detectors: tuple[str, ...], attacks: tuple[str, ...]
) -> None:
    assert MarkedPart(RESULTS, part).read() == tables.markdown(of_mini(detectors, attacks=attacks)).strip()


@pytest.mark.parametrize(
    ("part", "detectors"),
    [
        ("main", ("quantloss", "encloss", "combined", "reconstruction")),
        ("suite", ("quantloss-modes", "reconstruction")),
    ],
)
def test_tables_of_rates_are_the_stored_results(part: str, detectors: tuple[str, ...]) -> None:
    """One has a column a detector and attacks in a cell, the other the other way round."""
    head, _, *lines = MarkedPart(RESULTS, part).read().splitlines()
    columns = ["none" if name == "clean" else name for name in cells(head)[1:]]
    attacks = tuple(columns) if part == "suite" else ("none", "jpeg50", "noise0.05", "crop0.8")
    found = {
        (row.target, row.attack, row.detector): f"{100 * row.value:.0f}"
        for row in of_mini(detectors, attacks=attacks)
        if row.primary and row.value is not None
    }
    expected = {
        target: [" / ".join(found[target, attack, name] for name in detectors) for attack in attacks]
        if part == "suite"
        else [" / ".join(found[target, attack, name] for attack in attacks) for name in columns]
        for target in Task.load("mini").spec.targets
    }
    assert {target: rest for target, *rest in map(cells, lines)} == expected


def test_the_detector_of_the_readme_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = blocks("README.md", "python")
    (tmp_path / "mine.py").write_text(snippet)
    run = ["run", "--detector", f"{tmp_path}/mine.py:Plain", "--target", "llamagen-mini", "--attack", "none"]
    assert main([*run, "--encoder", "original", "--limit", "4", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert "plain" in capsys.readouterr().out


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README))
def test_linked_files_exist(path: tuple[str, str]) -> None:
    assert (ROOT / (path[0] or path[1])).exists()


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((80, 70), Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README takes to be there: pictures, a detector, and the tests of a checkout."""
    root = tmp_path_factory.mktemp("readme")
    for number in range(24):
        picture(root / "pictures" / f"class{number % 2}" / f"{number}.png", number)
        picture(root / "photos" / f"{number}.png", 100 + number)
        picture(root / "mine" / f"{number}.png", 200 + number)
    shutil.copytree(root / "mine", root / "downloads")
    shutil.copy(root / "mine" / "0.png", root / "picture.png")
    (root / "mine.py").write_text(blocks("README.md", "python")[0])
    (root / "tests").symlink_to(ROOT / "tests")
    return root


ELSEWHERE = {
    "--launch": "tests/test_scale_docs.py",
    "iarbench status": "tests/test_scale_docs.py",
    "iarbench submit": "tests/submit",
    "--device cuda": "tests/test_cuda.py",
    "iarbench check": "tests/checks",
}
"""Commands that other tests run, since they need a cluster, a checkout or a GPU, or minutes."""

SMALLER = {"--minutes 30": "--steps 1", "--count 500": "--count 4", "--count 64": "--count 4"}
"""What a test makes less of; it says nothing about whether a command works."""


@pytest.mark.long
@pytest.mark.parametrize(
    "line", [line for line in commands("README.md") if not any(part in line for part in ELSEWHERE)]
)
def test_every_command_works_as_written(line: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    if (workplace / "zoo" / "mine.yaml").is_file():  # `export`, some lines before
        monkeypatch.setenv("IARBENCH_GENERATORS", "zoo")
    variants._all.cache_clear()
    for much, little in SMALLER.items():
        line = line.replace(much, little)
    words = shlex.split(line)[1:]
    if words[0] == "run" and "--members" not in words:
        words += ["--limit", "4", "--quiet"]
        words += ["--target", "rar-mini"] if "all" in words else []  # one that learns takes minutes at each target
    if words[0] == "train":
        words += ["--adversarial-steps", "0"] if words[1] == "tokenizer" else []
    if words[0] == "finetune":
        words += ["--count", "4", "--epochs", "1"]
    assert main(words) == 0
    variants._all.cache_clear()
