from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from board_rows import row
from huggingface_hub import SpaceCard, parse_eval_result_entries
from loopback_hub import loopback_hub

from iarbench.board.gather import Batch
from iarbench.board.hub_files import write_hub_files
from iarbench.board.space import card
from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.results.rows import write_rows

ROWS = (row(value=0.625), row(attack="jpeg50", value=0.25), row(nonmember_set="real", primary=False))


def test_the_hubs_client_reads_what_is_written(tmp_path: Path) -> None:
    written = write_hub_files([Batch(ROWS)], "toys", "me/toys", "https://example.org/board", tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in written] == [
        "eval.yaml", "models/a-quantloss-inverse/.eval_results/toys.yaml",
    ]  # fmt: skip
    known = yaml.safe_load(written[0].read_text(encoding="utf-8"))
    assert known["evaluation_framework"] == "iarbench"
    assert known["tasks"] == [
        {"id": "a", "config": "a", "split": "test"}, {"id": "a-jpeg50", "config": "a", "split": "test"},
    ]  # fmt: skip
    entries = parse_eval_result_entries(yaml.safe_load(written[1].read_text(encoding="utf-8")))
    assert [(entry.dataset_id, entry.task_id, entry.value) for entry in entries] == [
        ("me/toys", "a", 62.5), ("me/toys", "a-jpeg50", 25.0),
    ]  # fmt: skip
    assert {entry.source_url for entry in entries} == {"https://example.org/board"}
    assert "25.0 [15.0, 35.0] (95 % interval)" in str(entries[1].notes)


def test_a_part_of_the_images_is_no_result_for_the_hub(tmp_path: Path) -> None:
    part = Batch((row(n_members=5, images_fingerprint="five", value=1.0),), True, 5)
    with pytest.raises(UserError, match="no rows of task 'toys' on all its images"):
        write_hub_files([part], "toys", "me/toys", None, tmp_path)
    with pytest.raises(UserError, match="--dataset toys: write owner/name"):
        write_hub_files([Batch(ROWS)], "toys", "toys", None, tmp_path)


def test_the_card_makes_a_static_space() -> None:
    data = SpaceCard(card()).data
    assert (data.sdk, data.app_file) == ("static", "index.html")
    assert "iarbench" in data.tags
    assert len(data.short_description) <= 60


@pytest.mark.long
def test_a_board_goes_to_a_space_and_again_only_what_changed(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    write_rows(ROWS, first)
    write_rows([row(detector="mine", value=0.5)], second)
    site = str(tmp_path / "site")
    with loopback_hub() as hub:
        push = ["board", "build", "--out", site, "--own", "--space", "o/board", "--rows", str(first)]
        out, err = hub.run(tmp_path, push, push, [*push, str(second)])
    assert [line for line in out if line.startswith("status")] == ["status 0"] * 3, err
    assert f"{hub.endpoint}/spaces/o/board" in out
    there = hub.repositories["spaces/o/board"].files
    folder = Path(site)
    assert {name: (folder / name).read_bytes() for name in there} == there
    assert set(there) == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"index.html", "README.md", "detectors/mine.html", "assets/vendor/echarts.min.js"} <= set(there)
    before, *_ = (files for _, files in hub.repositories["spaces/o/board"].commits if "README.md" in files)
    assert "detectors/mine.html" not in before


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--space", "board"], "--space board: write owner/name"), (["--private"], "add --space OWNER/NAME")],
)
def test_what_a_space_needs_is_said_before_work(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["board", "build", "--out", str(tmp_path / "site"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "site").exists()
