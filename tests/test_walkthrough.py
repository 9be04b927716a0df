"""docs/walkthrough.md works as it is written, from real photographs to load_dataset, with a Hub on this machine."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import TOKEN, Hub, loopback_hub
from official_layouts import write_official_layouts
from PIL import Image

from iarbench.attacks.suites import SUITES
from iarbench.cli import parser
from iarbench.images.image_set import ImageSet
from iarbench.results.rows import read_rows

PAGE = (Path(__file__).parents[1] / "docs/walkthrough.md").read_text(encoding="utf-8")
EACH = 40


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[list[str]]:
    return [shlex.split(line) for line in "".join(blocks("bash")).splitlines()]


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


@pytest.mark.long
def test_the_whole_page(tmp_path: Path) -> None:
    write_official_layouts(tmp_path, EACH)
    (task,) = blocks("yaml")
    (tmp_path / "walk.yaml").write_text(task)
    printed: dict[str, str] = {}
    with loopback_hub() as hub:
        for command in commands():
            words = [sys.executable, "-m", "iarbench", *command[1:]]
            printed[" ".join(command[1:4])] = give(hub, tmp_path, words)
        (snippet,) = blocks("python")
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
    assert {row.attack for row in rows} == set(SUITES["iclr2026"].attacks)
    clean = {
        (row.target, row.nonmember_set): row.value
        for row in rows
        if (row.metric, row.attack, row.score_name) == ("auroc", "none", "quantloss")
    }
    assert all(
        clean[target, other] > 0.95 for target in ("llamagen-mini", "rar-mini") for other in ("imagenet", "coco")
    )
    for name in ("strength", "quality"):
        assert Image.open(tmp_path / f"plots/{name}.png").size[0] > 500
    assert (tmp_path / "plots/detection.csv").read_text().count("\n") > 60

    # What came from an ImageNet folder may not be given on: it is listed, with its hashes, and not sent.
    pulled = ImageSet.open(tmp_path / "sets/pulled")
    assert set(pulled.index()["source"]) == {"coco", "llamagen-mini", "rar-mini"}
    sent = hub.repositories["datasets/me/walk"].files
    assert any("imagenet" in name for name in sent)
    assert not any("imagenet" in name and name.endswith(".parquet") and b"RIFF" in data for name, data in sent.items())
    assert "fingerprint" in printed["images pull hf:me/walk"]
