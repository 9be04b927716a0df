"""An attribution task from the command line: runs, resumes, reports, and takes over what another run has scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from toys import Toys, scores

import iarbench
from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.models import variants
from iarbench.results.attribution.rows import AttributionRow
from iarbench.results.rows import read_rows
from iarbench.specs import parse_task
from iarbench.task import Task


@pytest.fixture(scope="module", autouse=True)
def known(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The toys' generators are known in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IARBENCH_GENERATORS", str(toys.family))
        patch.setenv("IARBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        variants._all.cache_clear()
        yield
    variants._all.cache_clear()


@pytest.fixture(scope="module")
def task(toys: Toys) -> Path:
    """The toy task with another question; toys of different offsets have tokenizers of their own."""
    path = toys.root / "who.yaml"
    path.write_text(toys.task.read_text().replace("name: toys", "name: who") + "kind: attribution\n")
    return path


@pytest.fixture(scope="module")
def finished(task: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("who") / "run"
    words = ["run", "--task", str(task), "--out", str(out), "--encoder", "inverse", "--device", "cpu", "--quiet"]
    assert main(words) == 0
    return out


def test_a_run_leaves_rows_picture_and_p_values(finished: Path) -> None:
    rows = read_rows(finished / "results.jsonl", AttributionRow)
    rank1 = [row for row in rows if row.metric == "rank1" and row.subject == "all" and row.attack == "none"]
    assert {(row.detector, row.level, row.value) for row in rank1 if row.detector == "quantloss"} == {
        ("quantloss", "model", 1.0), ("quantloss", "family", 1.0),
    }  # fmt: skip
    (primary,) = (row for row in rows if row.primary and row.detector == "quantloss" and row.attack == "none")
    assert primary.value is not None
    assert primary.value > 0.9
    frame = pd.read_parquet(finished / "attribution.parquet")
    assert set(frame["target"]) == {"toy-a", "toy-b"}
    assert len(frame) == 2 * 2 * 75 * 2  # detectors, attacks, test images, targets
    assert (finished / "results.png").read_bytes().startswith(b"\x89PNG")


def test_rows_say_what_the_attack_left(finished: Path) -> None:
    rows = read_rows(finished / "results.jsonl", AttributionRow)
    (left,) = {(row.psnr, row.ssim) for row in rows if row.attack == "jpeg50"}
    assert left[0] is not None
    assert {(row.psnr, row.ssim) for row in rows if row.attack == "none"} == {(None, None)}


def test_a_second_run_and_a_report_give_the_same(
    finished: Path, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "results.jsonl").read_bytes()
    words = ["run", "--task", str(task), "--out", str(finished), "--encoder", "inverse", "--device", "cpu", "--quiet"]
    assert main(words) == 0
    table = capsys.readouterr().out
    assert main(["report", str(finished)]) == 0
    assert capsys.readouterr().out == table
    assert (finished / "results.jsonl").read_bytes() == before
    assert main(["report", str(finished), "--json"]) == 0
    found = [AttributionRow(**row) for row in json.loads(capsys.readouterr().out)["rows"]]
    assert found == read_rows(finished / "results.jsonl", AttributionRow)
    assert "Rank-1" in repr(iarbench.read_results(finished))


def test_scores_of_another_run_are_taken_over(
    finished: Path, toys: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iarbench.harness.run._execute", lambda *_: pytest.fail("something is scored again"))
    words = ["run", "--task", str(toys.task), "--out", str(tmp_path / "run"), "--encoder", "inverse"]
    assert main([*words, "--reuse", str(finished), "--device", "cpu", "--quiet"]) == 0
    assert scores(tmp_path / "run").equals(scores(finished))


def test_reuse_of_what_is_no_run_is_refused(task: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--task", str(task), "--out", str(tmp_path / "run"), "--reuse", str(tmp_path / "no")]) != 0
    assert "no scores" in capsys.readouterr().err


def test_families_of_the_packaged_task() -> None:
    task = Task.load("attribution-mini")
    assert task.attribution_task().known_families() == {
        "llamagen": ("llamagen-mini",), "var": ("var-mini", "var-mini-s"), "rar": ("rar-mini",),
        "taming": ("taming-mini",), "infinity": ("infinity-mini",),
    }  # fmt: skip
    assert Task.restore(task.record()) == task


def test_it_asks_for_the_scores_of_the_same_task_without_mirrored_images() -> None:
    asked, mini = Task.load("attribution-mini"), Task.load("mini")
    for target in asked.spec.targets:
        for source in (*asked.generators, *asked.spec.real):
            for split in ("test", "calibration", "fit"):
                for attack in asked.spec.attacks:
                    assert asked.needs(target, source, split, attack) == mini.needs(target, source, split, attack)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("attacked: members", "treats all images alike"),
        ("mirrored: true", "treats all images alike"),
        ("member_split: mine", "one test split"),
        ("targets: [toy-a]", "at least two targets"),
    ],
)
def test_what_attribution_cannot_mean_is_refused(change: str, message: str) -> None:
    key = change.split(":")[0]
    lines = [
        "name: x",
        "version: 1",
        "kind: attribution",
        "targets: [a, b]",
        "images: i",
        "real: [p]",
        "detectors: [d]",
    ]
    text = "\n".join([line for line in lines if not line.startswith(f"{key}:")] + [change])
    with pytest.raises(UserError, match=message):
        parse_task(text, "x.yaml")
