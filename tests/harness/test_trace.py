from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from toys import Toys

from iarbench.cli import main
from iarbench.content import calibration_path, images_path
from iarbench.harness.known_scores import plan_known
from iarbench.harness.plan import Settings
from iarbench.harness.trace import make_tracer
from iarbench.images.image_set import ImageSet
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
    *found, together = map(json.loads, capsys.readouterr().out.splitlines())
    assert [answer["decision"] for answer in found] == ["toy-a", "toy-b", "none of them"]
    best = found[0]["verdicts"][0]
    # the best score there can be among 50 non-members of a set, twice for Holm's two targets
    assert (best["p_value"], best["p_adjusted"]) == pytest.approx((1 / 51, 2 / 51))
    assert [answer["candidates"] for answer in found] == [["toy-a"], ["toy-b"], []]
    assert together["images"] == 3


def test_bad_files_are_named_and_the_others_go_on(
    toy_family: Toys, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(toy_family, "bad.png", "a.png", "missing.png", "large.png") == 1
    out, err = capsys.readouterr()
    header, first, second, *together = out.splitlines()
    assert header.split() == ["image", "answer", "adjusted", "p", "most", "like"]
    assert first.split() == ["a.png", "toy-a", "0.0392", "toy-a"]
    assert together[1] == "2 images together"
    assert second.startswith("large.png  none of them")
    assert "error: bad.png: not an image" in err
    assert "error: missing.png: cannot be read (No such file or directory)" in err
    assert "note: large.png: resized from 40x40 to 16x16" in err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixteen images of toy-a and as many that no toy made, beside what is no picture."""
    inside = tmp_path / "folder" / "below"
    inside.mkdir(parents=True)
    for kind, offset in (("own", 0), ("other", None)):
        for number, pixels in enumerate(toy_images(16, 78, offset)):
            Image.fromarray(pixels).save(inside / f"{number:02}-{kind}.png")
    (inside / "11-copy.png").write_bytes((inside / "11-own.png").read_bytes())
    (inside / "00-broken.png").write_bytes(b"no image")
    (inside / ".hidden.png").write_bytes(b"")
    (tmp_path / "folder" / "notes.txt").write_text("text")
    return tmp_path / "folder"


def test_a_folder_has_a_line_per_image_and_one_per_target_about_all(
    toy_family: Toys, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trace(toy_family, str(folder)) == 1
    out, err = capsys.readouterr()
    lines, together = (part.splitlines() for part in out.split("\n\n"))
    assert len(lines) == 1 + 33
    assert {line.split()[1] for line in lines[1:] if "own" in line or "copy" in line} == {"toy-a"}
    assert together[0] == "32 images together"
    assert together[2].split()[:3] == ["toy-a", "50.0", "%"]
    assert together[2].split()[-1] == "yes"
    assert together[3].split()[:3] == ["toy-b", "0.0", "%"]
    assert together[3].endswith("not shown")
    errors = [line for line in err.splitlines() if not line.startswith(("calibrating", "tracing"))]
    assert errors[0] == f"note: {folder}: left out: 1 hidden; 1 not pictures, by their extension"
    assert errors[1].startswith(f"error: {folder}/below/00-broken.png: not an image")
    assert errors[2:] == ["note: 1 copies of other files count once in what all say together"]


def test_what_all_say_together_is_one_more_object(
    toy_family: Toys, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "below" / "00-broken.png").unlink()
    args = ("--json", "--quiet", "--batch-size", "5")
    assert trace(toy_family, str(folder / "below" / "03-own.png"), str(folder), *args) == 0
    *images, together = map(json.loads, capsys.readouterr().out.splitlines())
    assert [Path(one["image"]).name for one in images[:3]] == ["03-own.png", "00-other.png", "00-own.png"]
    assert (len(images), together["images"], together["alpha"]) == (33, 32, 0.2)
    first, second = together["together"]
    assert [first["name"], second["name"]] == ["toy-a", "toy-b"]
    assert first["share"]["low"] <= 0.5 <= first["share"]["high"]
    assert first["share"]["flagged"] == 16
    assert first["log10_e"] > 2 > 0.7 > second["log10_e"]
    assert first["p_adjusted"] == pytest.approx(2 * first["p_anytime"])


def test_an_image_is_scored_alike_alone_and_among_others(
    toy_family: Toys, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "below" / "00-broken.png").unlink()
    assert trace(toy_family, str(folder), "--json", "--quiet") == 0
    among = {one["image"]: one for one in map(json.loads, capsys.readouterr().out.splitlines()) if "image" in one}
    path = str(folder / "below" / "09-other.png")
    assert trace(toy_family, path, "--json", "--quiet") == 0
    assert json.loads(capsys.readouterr().out) == among[path]


def test_what_cannot_be_read_is_said_before_any_work(
    toy_family: Toys, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "empty").mkdir()
    assert trace(toy_family, "missing.png", "bad.png", "empty") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(": ")[1] for line in err.splitlines()] == ["missing.png", "empty", "bad.png"]
    assert not (pictures / "cache" / "trace").exists()
    assert trace(toy_family) == 2
    assert "the following arguments are required: IMAGE" in capsys.readouterr().err
    assert trace(toy_family, "a.png", "--encoder", "inverted") == 2
    assert "command line: unknown encoder 'inverted'" in capsys.readouterr().err


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
    toy_family: Toys, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iarbench.harness.execute.execute", lambda *_: pytest.fail("calibration images were scored"))
    assert main(["trace", "a.png", "b.png", "--task", str(toy_family.task), "--quiet", "--alpha", "0.01"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: alpha 0.01 over 2 targets needs 199 calibration images")


def test_alpha_must_be_a_share(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "a.png", "--alpha", "5"]) == 2
    assert "'5' is not a number between 0 and 1" in capsys.readouterr().err


def test_members_that_are_known_are_the_targets_own_clean_images() -> None:
    task, images = Task.load("mini").narrowed(detectors=["quantloss"]), ImageSet.open(images_path("iarbench-mini"))
    plan = plan_known(task, "var-mini", None, images, Settings(device="cpu"), members=True)
    own = [job for job in plan.jobs if job.chunk.source == "var-mini"]
    assert {(job.attack, job.chunk.split) for job in own} == {("none", "test")}  # none of them mirrored
    assert sum(len(job.chunk.image_ids) for job in own) == 250
    others = plan_known(task, "var-mini", None, images, Settings(device="cpu"), members=False)
    assert {job.chunk.source for job in others.jobs} == {job.chunk.source for job in plan.jobs} - {"var-mini"}


def test_the_packaged_calibration_scores_are_current(tmp_path: Path) -> None:
    """Else run tools/build_calibration.py: the first answer of `iarbench trace` would take minutes."""
    task = Task.load("mini").narrowed(detectors=["quantloss"])
    said = io.StringIO()
    make_tracer(task, None, 0.05, tmp_path, Settings(device="cpu"), said, members=True)
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


def test_generators_with_one_tokenizer_are_answered_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their scores are equal, so that neither is the likelier one; a name of one of them would be a guess."""
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path))
    images = ImageSet.open("iarbench-mini").filter(source="var-mini-s", split="test")
    (record,) = images.read([images.index()["image_id"].iloc[0]])
    record.pil().save(tmp_path / "picture.png")
    words = ["trace", str(tmp_path / "picture.png"), "--device", "cpu", "--quiet", "--json"]
    assert main([*words, "--target", "var-mini", "--target", "var-mini-s"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["decision"] == "var-mini or var-mini-s"
    first, second = found["verdicts"]
    assert (first["score"], first["p_value"]) == (second["score"], second["p_value"])
    assert first["family"] == second["family"] == "var-mini or var-mini-s"
