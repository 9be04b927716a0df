"""docs/walkthrough.md works as it is written, from real photographs to load_dataset, with a Hub on this machine."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from doc_pages import blocks
from loopback_hub import TOKEN, Hub, loopback_hub
from official_layouts import packaged, write_official_layouts
from PIL import Image
from shared_data import shared_file

from iarbench.attack import parse
from iarbench.attacks.suites import SUITES
from iarbench.cli import parser
from iarbench.images.image_set import ImageSet
from iarbench.results.rows import read_rows

PAGE = "docs/walkthrough.md"
EACH = 40
Pictures = Callable[[int], tuple[list[bytes], list[bytes]]]


def commands() -> list[list[str]]:
    return [shlex.split(line) for line in "".join(blocks(PAGE, "bash")).splitlines()]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_is_understood(command: list[str]) -> None:
    assert parser().parse_args(command[1:]).command


def give(hub: Hub, root: Path, words: list[str]) -> str:
    """One command of the page, in a process of its own; its standard output."""
    done = subprocess.run(
        words,
        cwd=root,
        env=hub.environment(root / "home"),
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout


def shared(each: int) -> tuple[list[bytes], list[bytes]]:
    """Pictures of ILSVRC train and COCO, where they are."""
    files = [shared_file("imagenet_256.parquet"), shared_file("coco_256.parquet")]
    tables = [pq.read_table(file, columns=["image"]).slice(0, each).to_pylist() for file in files]
    first, second = ([row["image"]["bytes"] for row in table] for table in tables)
    return first, second


@pytest.mark.long
@pytest.mark.parametrize(("pictures", "suite"), [(packaged, "iclr2026"), (shared, "iclr2026-default")])
def test_the_whole_page(pictures: Pictures, suite: str, tmp_path: Path) -> None:
    write_official_layouts(tmp_path, *pictures(EACH))
    (task,) = blocks(PAGE, "yaml")
    assert "suite:iclr2026]" in task
    (tmp_path / "walk.yaml").write_text(task.replace("suite:iclr2026", f"suite:{suite}"))
    printed: dict[str, str] = {}
    with loopback_hub() as hub:
        for command in commands():
            words = [sys.executable, "-m", "iarbench", *command[1:]]
            printed[" ".join(command[1:4])] = give(hub, tmp_path, words)
        (snippet,) = blocks(PAGE, "python")
        loaded = give(hub, tmp_path, [sys.executable, "-c", snippet])
    assert loaded == "20 (64, 64) rar-mini/test/000000\n"

    walk = ImageSet.open(tmp_path / "sets/walk")
    index = walk.index()
    assert index.groupby(["source", "split"]).size().to_dict() == {
        (source, split): 20
        for source in ("imagenet", "coco", "llamagen-mini", "rar-mini")
        for split in ("test", "calibration")
    }
    real = index[index["source"].isin(["imagenet", "coco"])]
    assert set(real["treatment"]) == {"crop64-webp"}
    assert set(real[real["source"] == "imagenet"]["condition"]) == {"tench, Tinca tinca", "golden retriever"}
    assert set(real[real["source"] == "coco"]["licence"]) == {"CC-BY-2.0"}
    test = ImageSet.open(tmp_path / "sets/walk/coco-test")
    assert ImageSet.open(tmp_path / "sets/coco-again").fingerprint == test.fingerprint

    rows = read_rows(tmp_path / "runs/walk/results.jsonl")
    assert {row.attack for row in rows} == {parse(name).name for name in SUITES[suite].attacks}
    clean = {
        (row.target, row.nonmember_set): row.value
        for row in rows
        if (row.metric, row.attack, row.score_name) == ("auroc", "none", "quantloss")
    }
    assert all(
        clean[target, other] > 0.95 for target in ("llamagen-mini", "rar-mini") for other in ("imagenet", "coco")
    )
    drawn = {file.stem for file in (tmp_path / "plots").glob("*.png")}
    assert drawn == ({"strength", "quality"} if suite == "iclr2026" else {"quality"})
    assert all(Image.open(tmp_path / f"plots/{name}.png").size[0] > 500 for name in drawn)
    assert len(set((tmp_path / "plots/detection.csv").read_text().splitlines())) > len(SUITES[suite].attacks)

    # What came from an ImageNet folder may not be given on: it is listed, with its hashes, and not sent.
    pulled = ImageSet.open(tmp_path / "sets/pulled")
    assert set(pulled.index()["source"]) == {"coco", "llamagen-mini", "rar-mini"}
    sent = hub.repositories["datasets/me/walk"].files
    assert any("imagenet" in name for name in sent)
    assert not any("imagenet" in name and name.endswith(".parquet") and b"RIFF" in data for name, data in sent.items())
    assert "fingerprint" in printed["images pull hf:me/walk"]
