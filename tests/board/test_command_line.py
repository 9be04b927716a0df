from __future__ import annotations

import shlex

import pytest
from board_rows import row

from iarbench.board.command_line import filled, single
from iarbench.board.gather import Batch
from iarbench.cli import parser
from iarbench.results.rows import Row


@pytest.mark.parametrize(
    ("changes", "limit", "words"),
    [
        ({}, None, "--detector quantloss --target var-mini --attack jpeg50 --encoder inverse"),
        ({"detector": "trivial", "encoder": "none"}, None, "--detector trivial --target var-mini --attack jpeg50"),
        ({"detector": "ronan", "parameters": "lr=0.1,steps=3"}, 9,
         "--detector ronan:lr=0.1,steps=3 --target var-mini --attack jpeg50 --encoder inverse --limit 9"),
        ({"precision": "bfloat16", "attacked": "members"}, None,
         "--detector quantloss --target var-mini --attack jpeg50 --encoder inverse --precision bfloat16 "
         "--attacked members"),
    ],
)  # fmt: skip
def test_the_command_names_all_that_the_row_depends_on(changes: dict[str, str], limit: int | None, words: str) -> None:
    found: Row = row(task="mini", **changes)
    command = filled(single(found, Batch((found,)), limit), "var-mini", "jpeg50")
    assert command == f"iarbench run --task mini {words} --out runs/again-mini"
    args = parser().parse_args(shlex.split(command)[1:])
    assert (args.target, args.attack, args.limit) == (["var-mini"], ["jpeg50"], limit)


def test_a_detector_of_a_file_has_the_command_of_its_run() -> None:
    found = row(detector="mine")
    command = "iarbench run --detector ./mine.py:Mine --target var-mini"
    assert single(found, Batch((found,), True, None, command), None) == command
