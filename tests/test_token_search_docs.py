"""The tables of docs/token_search.md are what its benchmarks have stored."""

from __future__ import annotations

import json
import re
from typing import Any

from doc_pages import ROOT, cells

from tools.marked_part import MarkedPart

PAGE = ROOT / "docs" / "token_search.md"


def stored(name: str) -> dict[str, dict[str, Any]]:
    """The parts of a benchmark's results that are measurements."""
    found = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def table(name: str) -> dict[str, list[float]]:
    """First cell of each line of a marked table -> the numbers of its other cells."""
    lines = map(cells, MarkedPart(PAGE, name).read().splitlines()[2:])
    return {first: [float(n) for cell in rest for n in re.findall(r"[\d.]+", cell)] for first, *rest in lines}


def test_what_an_encoder_reads_is_the_stored_measurement() -> None:
    sides = ("mirror", "photos")
    expected = {
        name: [
            one["error"],
            one["quantisation"],
            *(round(100 * share, 1) for share in one["tokens"].values()),
            *(one["auroc"][side]["quantloss"] for side in sides),
            *(one["auroc"][side]["descent"] for side in sides if "descent" in one["auroc"][side]),
        ]
        for name, one in stored("inverse").items()
    }
    assert table("inverse") == expected


def test_the_bits_that_are_found_are_the_stored_measurement() -> None:
    expected = [
        [one["error"], one["greedy_left"], one["searched_left"]]
        + [round(100 * one[f"{way}_bits"], 1) for way in ("greedy", "searched")]
        for one in stored("infinity_bits").values()
    ]
    assert list(table("bits").values()) == expected


def test_what_the_search_finds_is_the_stored_measurement() -> None:
    beds = [one for one in stored("token_search").values() if "greedy" in one]
    ways = ("greedy", "modes", "ep", "reference")
    rows = list(table("search").values())
    for bed, row in zip(beds, rows, strict=False):
        found = [bed[way] for way in ways if way in bed]
        assert row == [
            number for one in found for number in (round(100 * one["tokens_right"], 1), float(f"{one['mse']:.3g}"))
        ]
    assert rows[len(beds) :] == [[float(f"{1000 * beds[-1][way]['cpu_seconds_an_image']:.3g}") for way in ways]]
