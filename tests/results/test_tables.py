from __future__ import annotations

import io

import pytest
import run_folder
from rich.console import Console

from iarbench.errors import UserError
from iarbench.results.compute import compute_rows
from iarbench.results.rows import Row
from iarbench.results.tables import markdown, plain, render, show, summarise


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    images = run_folder.index(110)
    return compute_rows(run_folder.run(images, shift=20), images, run_folder.task(fprs=(0.01, 0.001)))


def terminal(rows: list[Row], **options: object) -> str:
    console = Console(width=100, file=io.StringIO(), force_terminal=True, color_system=None)
    show(rows, console=console, **options)  # type: ignore[arg-type]
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_one_line_a_target_detector_encoder_and_attack(rows: list[Row]) -> None:
    lines = summarise(rows)
    assert [(line.target, line.detector, line.encoder, line.attack) for line in lines] == [
        (target, "quantloss", "original", attack) for target in run_folder.GENERATORS for attack in ("none", "jpeg50")
    ]
    assert {line.nonmember_set for line in lines} == {"pooled"}
    assert len(summarise(rows, every_set=True)) == 4 * len(lines)


def test_plain_lines_hold_the_numbers(rows: list[Row]) -> None:
    header, first, *_ = plain(rows).splitlines()
    assert header.split("  ")[0] == "target"
    cells = [cell.strip() for cell in first.split("  ") if cell.strip()]
    matched = next(r for r in rows if r["nonmember_set"] == "pooled" and r["threshold_kind"] == "matched")
    assert cells[:5] == ["alpha-mini", "quantloss", "original", "none", "100.0 [96.7, 100.0]"]
    assert cells[5:] == ["100.0", "100.0", f"{100 * matched['fpr_achieved']:.1f}", "1.000", "4.0"]


def test_the_table_fits_a_hundred_columns(rows: list[Row]) -> None:
    longest = [row | {"detector": "reconstruction", "score_name": "reconstruction"} for row in rows]
    longest = [row | {"encoder": "inverse-aug", "attack": "jpeg50+resize0.5"} for row in longest]
    text = terminal(longest)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert "alpha-mini (110 images) against real + other-generators (220 in 138 groups)" in text
    assert text.count("100.0 [96.7, 100.0]") == 2


def test_every_set_has_its_own_table(rows: list[Row]) -> None:
    text = terminal(rows, every_set=True)
    assert text.count("TPR@1% matched") == 8
    assert "alpha-mini (110 images) against beta-mini (110)" in text


def test_missing_numbers_say_why(rows: list[Row]) -> None:
    reason = "FPR 0.001 needs 999 non-members in every set to set a threshold, found 110"
    assert f"– {reason}" in terminal(rows, fpr=0.001)
    text = plain(rows, fpr=0.001)
    assert text.splitlines()[-1] == f"# – {reason}"
    assert "TPR@0.1% matched" in text


def test_not_a_terminal_gets_plain_lines(rows: list[Row]) -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    show(rows, console=console)
    assert console.file.getvalue() == plain(rows) + "\n"  # type: ignore[attr-defined]


def test_markdown(rows: list[Row]) -> None:
    head, rule, *body = markdown(rows, every_set=True).splitlines()
    assert head.startswith("| target | against | detector | encoder | attack | TPR@1% matched |")
    assert rule == "| " + " | ".join(["---"] * 5 + ["---:"] * 6) + " |"
    assert len(body) == 16
    assert all(line.count("|") == head.count("|") for line in body)


def test_one_sided_attacks_are_said(rows: list[Row]) -> None:
    assert "Attacks act on members only." in terminal([row | {"attacked": "members"} for row in rows])
    assert "Attacks act on" not in terminal(rows)


def test_auroc_alone(rows: list[Row]) -> None:
    text = plain([row for row in rows if row["metric"] == "auroc"])
    assert "1.000" in text


def test_nothing_to_show(rows: list[Row]) -> None:
    with pytest.raises(UserError, match="no results to show"):
        render([])
    with pytest.raises(UserError, match=r"no results at FPR 0.05; there are: 0.001, 0.01"):
        render(rows, fpr=0.05)
