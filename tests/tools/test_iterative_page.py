from __future__ import annotations

from doc_pages import cells
from tools.iterative_page import PART, ROWS, table

from iarbench.results.rows import read_rows


def test_the_page_shows_the_stored_rows() -> None:
    assert PART.read() == table(read_rows(ROWS))


def test_every_detector_has_every_target_and_the_best_is_first() -> None:
    head, _, *lines = (cells(line) for line in table(read_rows(ROWS)).splitlines())
    assert len(head) == 8
    assert {len(line) for line in lines} == {8}
    means = [float(line[-1].partition(",")[0]) for line in lines]
    assert means == sorted(means, reverse=True)
    names = [line[0] for line in lines]
    assert len(set(names)) == len(names)
    assert {"`latenttracer`", "`latenttracer:preset=iclr`", "`aedr`", "`quantloss`", "`likelihood`"} <= set(names)
