"""Tables at 60, 80 and 120 columns: they fit, no word is cut, and what has no room is named."""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import run_folder
from rich.console import Console
from stored_board import of_mini

from iarbench.cli import main
from iarbench.results.compute import compute_rows
from iarbench.results.kinds import KINDS
from iarbench.results.rows import Row, read_rows
from iarbench.results.view import View
from iarbench.text_table import fitted, stacked

STORED = Path(__file__).parents[2] / "leaderboard" / "rows"
WIDTHS = (60, 80, 120)


def shown(rows: list, kind: str, width: int, **options: bool) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    KINDS[kind].show(rows, View(**options), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@cache
def stored(name: str, kind: str) -> list:
    return read_rows(STORED / f"{name}.jsonl", KINDS[kind].row())


def words(text: str) -> set[str]:
    return set(re.sub(r"[─,.;:()\[\]]", " ", text).split())


@pytest.fixture(scope="module")
def several() -> list[Row]:
    images = run_folder.index(110)
    names = ("quantloss", "encloss", "reconstruction")
    scores = [run_folder.run(images, shift=shift) for shift in (2, 20, 1)]
    each = [
        one.assign(detector=name, score_name=name, main_score=name) for one, name in zip(scores, names, strict=True)
    ]
    return compute_rows(pd.concat(each, ignore_index=True), images, run_folder.task(attacks=("none", "jpeg50")))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("options", [{}, {"details": True}, {"all_sets": True, "all_scores": True}])
@pytest.mark.parametrize("name", ["mini", "mini-iterative", "attribution-mini"])
def test_stored_results_fit_and_no_word_is_cut(name: str, options: dict[str, bool], width: int) -> None:
    kind = "attribution" if name.startswith("attribution") else "provenance"
    rows = stored(name, kind)
    text = shown(rows, kind, width, **options)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    whole = words(shown(rows, kind, 1000, **options)) | words(shown(rows, kind, 1000, details=True))
    assert words(text) <= whole | {"No", "room", "for", "best", "TPR@1%", "names"}


def test_the_default_table_is_at_most_a_screen() -> None:
    rows = of_mini()
    many = [
        row.model_copy(update={"attack": f"{row.attack}{number}" if row.attack != "none" else "none"})
        for number in range(5)
        for row in rows
        if number == 0 or row.attack != "none"
    ]
    text = shown(many, "provenance", 80)
    assert len(text.splitlines()) <= 40
    assert "Shown: none, crop0.80, crop0.81, crop0.82; 12 more attacks: --details, or write to a file." in " ".join(
        text.split()
    )
    assert all(text.count(f"\n {target} ") == 1 for target in dict.fromkeys(row.target for row in rows))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_at_every_width(several: list[Row], width: int) -> None:
    text = shown(several, "provenance", width)
    assert [line.rstrip() for line in text.splitlines()[:9]] == EXPECTED[width].splitlines()


WHOLE = """\
2 targets (110 images each) against real + other-generators (220 in 138 groups)

 target      attack           encloss       quantloss  reconstruction
 ─────────────────────────────────────────────────────────────────────
 alpha-mini  none    100.0 [97, 100]*  21.8 [15, 31]*    6.4 [3, 13]*
             jpeg50  100.0 [97, 100]*    4.5 [1, 10]*     0.9 [0, 5]*
 beta-mini   none    100.0 [97, 100]*  31.8 [23, 41]*    7.3 [3, 14]*
             jpeg50  100.0 [97, 100]*  33.6 [25, 43]*    7.3 [3, 14]*

"""

EXPECTED = {
    60: """\
2 targets (110 images each) against real + other-generators
(220 in 138 groups)

 target      attack  best               TPR@1%  encloss
 ───────────────────────────────────────────────────────
 alpha-mini  none    encloss  100.0 [97, 100]*    100.0
             jpeg50  encloss  100.0 [97, 100]*    100.0
 beta-mini   none    encloss  100.0 [97, 100]*    100.0
             jpeg50  encloss  100.0 [97, 100]*    100.0
""",
    80: WHOLE,
    120: WHOLE,
}


COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB, SHORT = f"hf:owner/var-mine@{COMMIT}", f"hf:owner/var-mine@{COMMIT[:12]}"


def test_commits_are_shortened_for_a_terminal_alone(several: list[Row]) -> None:
    named = [row.model_copy(update={"target": HUB}) for row in several if row.target == "alpha-mini"]
    for options in ({}, {"details": True}):
        text = shown(named, "provenance", 80, **options)
        assert SHORT in text
        assert COMMIT not in text
    assert HUB in KINDS["provenance"].plain(named, View())
    assert HUB in KINDS["provenance"].markdown(named, View())
    assert fitted([["name", "more"], [f"{HUB} or b", COMMIT]], 100)[1] == f"{SHORT} or b  {COMMIT}"


ROWS = [
    ["name", "size", "what it is"],
    ["a", "64 px", "the first one, described at some length"],
    ["bcd", "256 px", "–"],
]


def test_plain_tables_drop_wrap_and_stack() -> None:
    assert fitted(ROWS, 60) == [
        "name  size    what it is",
        "a     64 px   the first one, described at some length",
        "bcd   256 px  –",
    ]
    assert fitted(ROWS, 46, drop=[1]) == [
        "name  what it is",
        "a     the first one, described at some length",
        "bcd   –",
        "(no room for: size)",
    ]
    assert fitted(ROWS, 40, drop=[1], wrap=True) == [
        "name  what it is",
        "a     the first one, described at some",
        "      length",
        "bcd   –",
        "(no room for: size)",
    ]
    assert fitted(ROWS, 30) == [
        "a",
        "    size: 64 px; what it is:",
        "    the first one, described",
        "    at some length",
        "bcd",
        "    size: 256 px",
    ]
    assert stacked([["name"], ["a"]], 10) == ["a"]


@pytest.mark.parametrize("width", WIDTHS)
def test_lists_fit_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout", written := Terminal())
    assert main(["ls"]) == 0
    assert max(map(len, written.getvalue().splitlines())) <= width
