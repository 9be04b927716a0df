from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from board_rows import Tables, auroc, row

from iarbench.board import site
from iarbench.board.gather import Batch
from iarbench.board.pages import inline_json
from iarbench.errors import UserError
from iarbench.results.rows import Row

ROWS = (
    row(value=0.625, low=0.5, high=0.75), row(target="b", value=0.25, low=0.125, high=0.5),
    row(attack="jpeg50", value=0.125, low=0.0, high=0.25), row(threshold_kind="oracle", value=0.75, primary=False),
    row(value=None, reason="too few <images>", nonmember_set="real", primary=False),
    auroc(value=0.875, low=0.8, high=0.9), row(detector="plain", value=0.9),
    row(detector="plain", target="b", value=1.0),
)  # fmt: skip


def built(tmp_path: Path, rows: tuple[Row, ...] = ROWS, **options: Any) -> Path:
    return site.build([Batch(rows)], tmp_path / "site", **options).index


def test_the_page_without_a_script_holds_every_pooled_number(tmp_path: Path) -> None:
    tables = Tables(built(tmp_path).read_text(encoding="utf-8")).found
    ranking = tables["ranking"]
    assert ranking[0] == ["#", "detector", "mean", "mean rank", "worst", "a", "b"]
    assert ranking[1][:3] == ["1", "plain inverse", "95.0"]
    assert ranking[2] == [
        "2", "quantloss inverse", "43.8", "2.00", "25.0 [12, 50] b", "62.5 [50.0, 75.0]", "25.0 [12.5, 50.0]"
    ]  # fmt: skip
    lines = {tuple(line[:3]): line[3:] for line in tables["lines"][1:]}
    first = lines["quantloss inverse", "a", "none"]
    head = tables["lines"][0][3:]
    assert dict(zip(head, first, strict=True)) | {"again": ""} == {
        "matched": "62.5 [50.0, 75.0]", "oracle": "75.0 [65.0, 85.0]", "FPR": "1.0",
        "AUROC": "0.875 [0.800, 0.900]", "ms": "10.0", "again": "",
    }  # fmt: skip
    assert "--target a --attack none --encoder inverse" in first[-1]
    assert lines["quantloss inverse", "a", "jpeg50"][0] == "12.5 [0.0, 25.0]"
    assert len(lines) == 5


def test_a_page_per_detector_with_its_command_and_every_set(tmp_path: Path) -> None:
    page = built(tmp_path).parent / "detectors" / "quantloss.html"
    text = page.read_text(encoding="utf-8")
    assert "iarbench run --task toys --detector quantloss --target a,b --attack none,jpeg50 --encoder inverse" in text
    assert "too few &lt;images&gt;" in text
    (table,) = Tables(text).found.values()
    assert next(line for line in table if "real" in line)[:5] == ["a", "none", "real", "1%", "–"]
    assert page.with_name("plain.html").is_file()


def test_nothing_on_a_page_asks_another_host(tmp_path: Path) -> None:
    folder = built(tmp_path).parent
    for page in [folder / "index.html", *folder.glob("detectors/*.html")]:
        text = page.read_text(encoding="utf-8")
        addresses = re.findall(r"(?:src|href)=[\"']?([^\"'> ]+)", text)
        assert addresses
        for address in addresses:
            if not address.startswith(("#", "data:")):
                assert (page.parent / address.partition("#")[0]).resolve().is_file(), address
    assert not re.search(r"url\(|@import", (folder / "assets" / "board.css").read_text(encoding="utf-8"))


def test_names_from_outside_stay_text(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    index = built(tmp_path, (row(detector=evil, target=evil, parameters=evil, encoder=evil),))
    for page in index.parent.rglob("*.html"):
        assert "<script>alert" not in page.read_text(encoding="utf-8")
    assert json.loads(inline_json({"a": evil})) == {"a": evil}
    assert "<" not in inline_json({"a": evil})


def test_same_rows_same_bytes_and_the_rows_come_along(tmp_path: Path) -> None:
    def bytes_of(rows: tuple[Row, ...]) -> dict[str, bytes]:
        folder = built(tmp_path, rows).parent
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    first = bytes_of(ROWS)
    assert bytes_of(ROWS[::-1]) == first
    lines = gzip.decompress(first["data/rows.jsonl.gz"]).decode().splitlines()
    assert sorted(lines) == lines
    assert {Row(**json.loads(line)) for line in lines} == set(ROWS)
    assert {"README.md", "CITATIONS.bib", "assets/vendor/echarts.LICENSE.txt"} <= first.keys()


def test_groups_of_one_name_have_links_of_their_own(tmp_path: Path) -> None:
    others = [Batch((row(detector=name, n_members=10, images_fingerprint=name),)) for name in ("mine", "yours")]
    page = site.build([Batch(ROWS), *others], tmp_path / "site").index.read_text(encoding="utf-8")
    links = re.findall(r'<section class="group" id="([^"]+)"', page)
    assert links == ["toys-v1", "toys-v1-first10", "toys-v1-first10-2"]
    assert re.findall(r'<li><a href="#(toys[^"]+)"', page) == links


def test_an_older_board_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    index = built(tmp_path)
    (index.parent / "detectors" / "gone.html").write_text("old")
    built(tmp_path)
    assert not (index.parent / "detectors" / "gone.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("dear")
    with pytest.raises(UserError, match="holds something else than a board; choose another --out"):
        site.build([Batch(ROWS)], other)
    assert (other / "thesis.txt").read_text() == "dear"


def test_a_build_that_fails_leaves_the_old_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = built(tmp_path)
    before = index.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(site, "write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        built(tmp_path, ROWS[:1])
    assert index.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]


def test_no_rows_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no rows to show"):
        built(tmp_path, ())


def test_bundled_libraries_are_the_released_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.check_assets()
    listed = (site.ASSETS / "vendor" / "SHA256SUMS").read_text(encoding="utf-8").split()[1::2]
    assert sorted(listed) == sorted(p.name for p in (site.ASSETS / "vendor").iterdir() if p.name != "SHA256SUMS")
    shutil.copytree(site.ASSETS, tmp_path / "assets")
    monkeypatch.setattr(site, "ASSETS", tmp_path / "assets")
    with (tmp_path / "assets" / "vendor" / "echarts.min.js").open("ab") as file:
        file.write(b" ")
    with pytest.raises(UserError, match=r"echarts\.min\.js is not the released file"):
        built(tmp_path)


def test_quality_stands_beside_detection(tmp_path: Path) -> None:
    measured = tuple(
        one.model_copy(update={"psnr": 30.25, "ssim": 0.9}) if one.attack != "none" else one for one in ROWS
    )
    tables = Tables(built(tmp_path, measured).read_text(encoding="utf-8")).found
    assert tables["quality"][0] == ["attack", "PSNR in dB", "SSIM", "plain, inverse", "quantloss, inverse"]
    assert tables["quality"][1][:3] == ["jpeg50", "30.2", "0.900"]
    assert "quality" not in Tables(built(tmp_path).read_text(encoding="utf-8")).found
