from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from board_rows import row
from huggingface_hub import SpaceCard, parse_eval_result_entries

from iarbench.board.gather import Batch
from iarbench.board.hub_files import write_hub_files
from iarbench.board.space import card
from iarbench.errors import UserError

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
