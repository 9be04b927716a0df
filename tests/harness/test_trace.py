from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from toys import Toys

from iarbench.cli import main
from iarbench.content import calibration_path
from iarbench.harness.plan import Settings
from iarbench.harness.trace import make_tracer
from iarbench.results.scores import load_scores
from iarbench.results.seal import parts_of
from iarbench.task import Task
from iarbench.testing import toy_images


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, offset, size in (("a", 0, 16), ("b", 25, 16), ("neither", None, 16), ("large", None, 40)):
        Image.fromarray(toy_images(1, 77, offset, image_size=size)[0]).save(tmp_path / f"{name}.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trace(toys: Toys, *args: str) -> int:
    return main(["trace", "--detector", "combined", *args, "--task", str(toys.task), "--alpha", "0.2"])


def test_each_image_goes_to_its_generator_or_to_none(
    toy_family: Toys, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(toy_family, "a.png", "b.png", "neither.png", "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["decision"] for answer in found] == ["toy-a", "toy-b", "none of them"]
    best = found[0]["verdicts"][0]
    # the best score there can be among 50 non-members of a set, twice for Holm's two targets
    assert (best["p_value"], best["p_adjusted"]) == pytest.approx((1 / 51, 2 / 51))
    assert [answer["candidates"] for answer in found] == [["toy-a"], ["toy-b"], []]


def test_bad_files_are_named_and_the_others_go_on(
    toy_family: Toys, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(toy_family, "bad.png", "a.png", "missing.png", "large.png") == 1
    out, err = capsys.readouterr()
    header, first, second = out.splitlines()
    assert header.split() == ["image", "answer", "p(toy-a)", "p(toy-b)"]
    assert first.split()[:2] == ["a.png", "toy-a"]
    assert second.startswith("large.png  none of them")
    assert "error: bad.png: not an image" in err
    assert "error: missing.png: cannot be read (No such file or directory)" in err
    assert "note: large.png: resized from 40x40 to 16x16" in err


def test_calibration_scores_are_kept_for_the_next_time(
    toy_family: Toys, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(toy_family, "a.png") == 0
    first = capsys.readouterr()
    assert "calibrating 150/150 images" in first.err  # the noise is scored by both in one go
    assert trace(toy_family, "a.png") == 0
    second = capsys.readouterr()
    assert "calibrating" not in second.err
    assert first.out == second.out
    assert list((pictures / "cache" / "trace" / "scores" / "combined" / "toy-a" / "inverse").iterdir())
    assert trace(toy_family, "a.png", "--encoder", "original") == 0
    assert "calibrating" in capsys.readouterr().err


def test_too_small_a_calibration_set_is_said_once(
    toy_family: Toys, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "a.png", "b.png", "--task", str(toy_family.task), "--quiet", "--alpha", "0.01"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: alpha 0.01 over 2 targets needs 199 calibration images")


def test_alpha_must_be_a_share(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["trace", "a.png", "--alpha", "5"])
    assert exit.value.code == 2
    assert "'5' is not a number between 0 and 1" in capsys.readouterr().err


def test_the_packaged_calibration_scores_are_current(tmp_path: Path) -> None:
    """Else run tools/build_calibration.py: the first answer of `iarbench trace` would take minutes."""
    task = Task.load("mini").narrowed(detectors=["quantloss"])
    said = io.StringIO()
    make_tracer(task, None, 0.05, tmp_path, Settings(device="cpu"), said)
    assert said.getvalue() == ""  # nothing was left to score


@pytest.mark.parametrize("target", ["llamagen-mini", "rar-mini", "taming-mini", "infinity-mini", "var-mini"])
def test_packaged_calibration_scores_recompute(target: str, tmp_path: Path) -> None:
    """The first images of every source and split, scored anew: another kind of processor may move a tenth of them."""
    args = ["run", "--detector", "quantloss", "--encoder", "inverse", "--attack", "none", "--target", target]
    assert main([*args, "--limit", "8", "--out", str(tmp_path), "--quiet"]) == 0
    parts = calibration_path() / "scores" / "quantloss" / target
    shipped = pd.concat(pd.read_parquet(path) for path in parts.rglob("*.parquet"))
    both = load_scores(tmp_path, parts_of(tmp_path)).query("attack == 'none'")
    both = both.merge(shipped, on=["image_id", "score_name"], suffixes=("", "_shipped"))
    assert len(both) > 100
    assert ((both["score"] / both["score_shipped"] - 1).abs() > 1e-4).mean() <= 0.1
