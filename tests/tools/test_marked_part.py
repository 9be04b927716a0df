"""A script replaces its part of a page and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from iarbench.errors import UserError
from tools.marked_part import MarkedPart

TEXT = "# A page\n<!-- other:begin -->\nx\n<!-- other:end -->\n<!-- one:begin -->\nold\nlines\n<!-- one:end --> rest\n"


def test_a_part_is_read_and_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT)
    part = MarkedPart(page, "one")
    assert part.read() == "old\nlines"
    part.write("new")
    assert page.read_text() == TEXT.replace("old\nlines", "new")
    assert part.read() == "new"


@pytest.mark.parametrize("mark", ["<!-- one:begin -->", "<!-- one:end -->"])
def test_a_page_without_the_part_is_named_and_left(tmp_path: Path, mark: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace(mark, ""))
    with pytest.raises(UserError, match=f"{page} has no part between <!-- one:begin --> and <!-- one:end -->"):
        MarkedPart(page, "one").write("new")
    assert page.read_text() == TEXT.replace(mark, "")
