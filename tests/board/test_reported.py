from __future__ import annotations

from pathlib import Path

import pytest
from board_rows import Tables, row

from iarbench.board import reported, site
from iarbench.board.gather import Batch
from iarbench.errors import UserError
from iarbench.submit.board import Board


def test_papers_numbers_stand_apart_with_where_they_were_read(tmp_path: Path) -> None:
    papers = reported.of_board(Board.packaged())
    assert papers is not None
    index = site.build([Batch((row(),))], tmp_path / "site", reported=papers).index
    text = index.read_text(encoding="utf-8")
    tables = Tables(text).found
    assert [line[1] for line in tables["ranking"][1:]] == ["quantloss inverse"]
    apart = text[text.index('id="reported"') :]
    for paper in papers.papers:
        assert f"arXiv {paper.arxiv}" in apart
        assert paper.read_in in apart
    assert ["QuantLoss", "Infinity", "not stated in the notes", "none", "99.4", "Table 3"] in tables[""]
    assert len(tables[""]) == sum(1 + len(paper.numbers) for paper in papers.papers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema_version: 2\npapers: []", "schema_version: Input should be 1"),
        ("papers: [{title: x}]", "papers.0.arxiv: Field required"),
        ("papers: [", "cannot read"),
    ],
)
def test_a_wrong_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "reported.yaml").write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        reported.read(tmp_path / "reported.yaml")
    assert "reported.yaml" in str(raised.value)
