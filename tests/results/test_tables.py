from __future__ import annotations

import io

import pandas as pd
import pytest
import run_folder
from rich.console import Console

from iarbench.results.compute import compute_rows
from iarbench.results.kinds import KINDS
from iarbench.results.rows import Row
from iarbench.results.tables import markdown, plain
from iarbench.results.view import View


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    images = run_folder.index(110)
    return compute_rows(run_folder.run(images, shift=20), images, run_folder.task(fprs=(0.01, 0.001)))


@pytest.fixture(scope="module")
def several() -> list[Row]:
    images = run_folder.index(110)
    scores = run_folder.run(images, shift=20)
    names = ("quantloss", "encloss", "combined", "reconstruction", "quantloss-reference")
    each = [scores.assign(detector=name, score_name=name, main_score=name) for name in names]
    return compute_rows(pd.concat(each, ignore_index=True), images, run_folder.task())


def terminal(rows: list[Row], **options: object) -> str:
    console = Console(width=100, file=io.StringIO(), force_terminal=True, color_system=None)
    KINDS["provenance"].show(rows, View(**options), console)  # type: ignore[arg-type]
    return console.file.getvalue()  # type: ignore[attr-defined]


def renamed(rows: list[Row], **values: object) -> list[Row]:
    return [row.model_copy(update=values) for row in rows]


def test_plain_lines_hold_the_numbers(rows: list[Row]) -> None:
    header, first, *_ = plain(rows).splitlines()
    assert header.split("  ")[0] == "target"
    cells = [cell.strip() for cell in first.split("  ") if cell.strip()]
    matched = next(r for r in rows if r.nonmember_set == "pooled" and r.threshold_kind == "matched")
    assert cells[:5] == ["alpha-mini", "quantloss", "original", "none", "100.0 [96.7, 100.0]*"]
    assert cells[5:] == ["100.0", "100.0", f"{100 * matched.fpr_achieved:.1f}", "1.000", "4.0"]


def test_the_table_fits_a_hundred_columns(rows: list[Row]) -> None:
    longest = renamed(rows, detector="reconstruction", score_name="reconstruction", encoder="inverse-aug")
    longest = [
        row.model_copy(update={"attack": "jpeg50+resize0.5"}) if row.attack != "none" else row for row in longest
    ]
    text = terminal(longest)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert "reconstruction: 2 targets (110 images each) against real + other-generators (220 in 138 groups)" in text
    assert text.count("100.0 [96.7, 100.0]") == 4


def test_several_detectors_stand_side_by_side(several: list[Row]) -> None:
    header, first, *rest = plain(several).splitlines()
    names = ["combined", "encloss", "quantloss", "quantloss-reference", "reconstruction"]
    columns = ["target", "attack", *(f"{name} TPR@1%" for name in names)]
    assert [cell.strip() for cell in header.split("  ") if cell.strip()] == columns
    assert first.split()[:4] == ["alpha-mini", "none", "100.0", "[97,"]
    assert len(rest) == 3
    text = terminal(several)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert text.count("2 targets (110 images each) against real + other-generators (220 in 138 groups)") == 1
    assert all(name in text for name in names)


def test_details_of_several_detectors_on_demand(several: list[Row]) -> None:
    text = terminal(several, details=True)
    assert text.count("TPR@1% matched") == 2  # a table per target
    assert "transfer" in text
    assert len(plain(several, View(details=True)).splitlines()) == 1 + 2 * 2 * 5


def test_auroc_where_the_task_compares_by_it(several: list[Row]) -> None:
    by_area = [
        row.model_copy(update={"primary": row.metric == "auroc" and row.nonmember_set == "pooled"}) for row in several
    ]
    header, first, *_ = plain(by_area).splitlines()
    assert "combined AUROC" in header
    assert "1.000 [0.96, 1.00]" in first


def test_every_set_has_its_own_table(rows: list[Row]) -> None:
    text = terminal(rows, all_sets=True)
    assert text.count("TPR@1% matched") == 8
    assert "alpha-mini (110 images) against beta-mini (110)" in text


def test_missing_numbers_say_why(rows: list[Row]) -> None:
    reason = "FPR 0.1% needs 999 non-members in every set for a threshold; 110 allow no less than 0.901%"
    assert f"– {reason}" in terminal(rows, fpr=0.001)
    text = plain(rows, View(fpr=0.001))
    assert f"# – {reason}" in text.splitlines()
    assert "TPR@0.1% matched" in text


def test_not_a_terminal_gets_plain_lines(rows: list[Row]) -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    KINDS["provenance"].show(rows, console=console)
    assert console.file.getvalue() == plain(rows) + "\n"  # type: ignore[attr-defined]


def test_markdown(rows: list[Row], several: list[Row]) -> None:
    head, rule, *body = markdown(rows, View(all_sets=True)).splitlines()
    assert head.startswith("| target | against | detector | encoder | attack | TPR@1% matched |")
    assert rule == "| " + " | ".join(["---"] * 5 + ["---:"] * 6) + " |"
    assert len(body) == 16
    assert all(line.count("|") == head.count("|") for line in body)
    head, rule, *body = markdown(several).splitlines()
    assert head.startswith("| target | attack | combined TPR@1% | encloss TPR@1% |")
    assert rule == "| " + " | ".join(["---"] * 2 + ["---:"] * 5) + " |"
    assert len(body) == 4


def test_one_sided_attacks_are_said(rows: list[Row]) -> None:
    said = "Attacks act on members only; thresholds come from clean calibration images."
    assert said in terminal(renamed(rows, attacked="members"))
    assert f"# {said}" in plain(renamed(rows, attacked="members"))
    assert "Attacks act on" not in terminal(rows)


def test_auroc_alone(rows: list[Row]) -> None:
    assert "1.000" in plain([row for row in rows if row.metric == "auroc"])


def test_another_kind_of_threshold_stands_with_its_interval(rows: list[Row]) -> None:
    first = {
        kind: next(
            row for row in rows
            if (row.threshold_kind, row.nonmember_set, row.fpr_nominal) == (kind, "pooled", 0.01)
        )
        for kind in ("matched", "guaranteed", "oracle")
    }  # fmt: skip
    head, *lines = markdown(rows, View(threshold="oracle")).splitlines()
    assert head.split(" | ")[4:8] == ["TPR@1% oracle", "matched", "transfer", "FPR"]
    assert f"{100 * (first['oracle'].fpr_achieved or 0):.1f}" == lines[1].split(" | ")[7]
    # a guaranteed rate of 1 % takes 299 independent images: there is a reason in place of a number
    assert first["guaranteed"].value is None
    head, *lines = plain(rows, View(threshold="guaranteed")).splitlines()
    assert "TPR@1% guaranteed" in head
    assert lines[0].split()[4] == "–"
    assert lines[-1] == f"# – {first['guaranteed'].reason}"
    assert str(first["guaranteed"].reason) not in plain(rows)


def test_guaranteed_is_a_column_of_details_where_it_has_a_number() -> None:
    images = run_folder.index(400)
    found = compute_rows(run_folder.run(images, shift=4), images, run_folder.task(fprs=(0.05,)))
    known = next(row for row in found if (row.threshold_kind, row.nonmember_set) == ("guaranteed", "pooled"))
    head, _, first, *_ = markdown(found, View(details=True)).splitlines()
    cells = dict(zip(head.strip("| ").split(" | "), first.strip("| ").split(" | "), strict=True))
    assert list(cells)[4:8] == ["TPR@5% matched", "transfer", "oracle", "guaranteed"]
    assert cells["guaranteed"] == f"{100 * (known.value or 0):.1f}"
    assert "a guaranteed one is a promise" in terminal(found, details=True, threshold="guaranteed")
