"""An entry that was submitted or run in several parts says so, and its command computes all of them."""

from __future__ import annotations

from board_rows import row

from iarbench.board.command_line import single
from iarbench.board.detector_page import _origin
from iarbench.board.gather import Batch
from iarbench.board.groups import groups_of


def batch(attack: str, name: str, own: bool = False) -> Batch:
    rows = (row(detector="mine", attack=attack, submission=None if own else name),)
    return Batch(rows, own, command=f"iarbench run --out {name}" if own else f"iarbench verify {name} --rerun")


def test_all_submissions_of_an_entry_are_named() -> None:
    (group,) = groups_of([batch("none", "toys-1"), batch("jpeg50", "toys-2")])
    (entry,) = group.entries
    assert entry.submissions == ("toys-1", "toys-2")
    command = "iarbench verify toys-1 --rerun && iarbench verify toys-2 --rerun"
    assert single(entry.sample, entry.batch, None) == command
    told = {"source": None, "submissions": list(entry.submissions)}
    assert (
        _origin(told) == "Submitted as toys-1, toys-2: `iarbench verify toys-1 toys-2` recomputes it from its scores."
    )


def test_the_users_runs_come_before_submissions() -> None:
    (group,) = groups_of([batch("none", "toys-1"), batch("none", "a", own=True), batch("jpeg50", "b", own=True)])
    (entry,) = group.entries
    assert entry.submissions == ()
    assert single(entry.sample, entry.batch, None) == "iarbench run --out a && iarbench run --out b"
