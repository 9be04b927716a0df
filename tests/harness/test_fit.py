"""What a detector learns comes from a split of its own, is stored, and is part of what its scores depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import Toys, run, write_with_fit

from iarbench.cli import main
from iarbench.harness import learn
from iarbench.images.image_set import ImageSet

LEARNS = """
import torch
from iarbench.detector import Detector

class Learns(Detector):
    name = "learns"
    reads = frozenset({reads})

    def fit(self, images):
        sums, seen = torch.zeros(2, 3), []
        for _ in range(2):
            for evidence, members in images:
                assert set(evidence.learnt) == set()
                colours = evidence.images.mean((2, 3))
                for side in (0, 1):
                    sums[side] += colours[members == bool(side)].sum(0)
                seen += members.tolist()
        return {{"direction": sums[1] - sums[0], "seen": torch.tensor(seen)}}

    def score(self, evidence):
        return {{"learns": (evidence.images.mean((2, 3)) * evidence.learnt["direction"]).sum(1)}}
"""


@pytest.fixture
def learns(tmp_path: Path) -> str:
    (tmp_path / "learns.py").write_text(LEARNS.format(reads='{"tokenizer"}'))
    return f"{tmp_path}/learns.py:Learns"


@pytest.fixture
def with_fit(toy_family: Toys, tmp_path: Path) -> Toys:
    """The toy benchmark over images that have a split `fit` as well, eleven of every source."""
    write_with_fit(tmp_path / "more")
    return toy_family


def learnt(out: Path) -> dict[str, torch.Tensor]:
    (path,) = (out / "learnt").rglob("toy-a/original-*.safetensors")
    return load_file(path)


ARGS = ("--attack", "none", "--encoder", "original", "--target", "toy-a")


def test_only_images_of_the_split_fit_are_learnt_from(with_fit: Toys, learns: str, tmp_path: Path) -> None:
    args = (*ARGS, "--detector", learns, "--images")
    plain = run(with_fit, tmp_path / "plain", *args, tmp_path / "more")
    found = learnt(tmp_path / "plain")
    assert found["seen"].tolist().count(True) == 2 * 11  # own images, gone through twice
    assert len(found["seen"]) == 2 * 33
    for split in ("test", "calibration"):
        run(with_fit, tmp_path / split, *args, write_with_fit(tmp_path / f"other-{split}", split))
        assert torch.equal(learnt(tmp_path / split)["direction"], found["direction"])
    run(with_fit, tmp_path / "fit", *args, write_with_fit(tmp_path / "other-fit", "fit"))
    assert not torch.equal(learnt(tmp_path / "fit")["direction"], found["direction"])
    sides = plain.index.get_level_values("image_id").str.split("/").str[1]
    assert set(sides) == {"test", "calibration"}


def test_what_was_learnt_is_kept_and_counts(with_fit: Toys, learns: str, tmp_path: Path) -> None:
    args = (*ARGS, "--detector", learns, "--images", tmp_path / "more")
    before = run(with_fit, tmp_path / "out", *args)
    (path,) = (tmp_path / "out" / "learnt").rglob("*.safetensors")
    made = path.stat().st_mtime_ns
    pd.testing.assert_series_equal(run(with_fit, tmp_path / "out", *args), before, check_exact=True)
    other_batches = run(with_fit, tmp_path / "b", *args, "--batch-size", "1", "--workers", "1")
    pd.testing.assert_series_equal(other_batches, before, rtol=1e-6, atol=0)
    assert path.stat().st_mtime_ns == made

    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    state = load_file(path)
    other = {**state, "direction": -state["direction"]}
    save_file(other, path, metadata={"key": about["key"].split()[0]})  # as older versions wrote it
    pd.testing.assert_series_equal(run(with_fit, tmp_path / "out", *args), -before, rtol=1e-6, atol=0)
    save_file(other, path, metadata=about)  # not what its digest says
    pd.testing.assert_series_equal(run(with_fit, tmp_path / "out", *args), before, check_exact=True)
    right = path.read_bytes()
    header = 8 + int.from_bytes(right[:8], "little")
    for place in (3, 10, header - 5, header + 1, len(right) - 1):
        path.write_bytes(right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :])
        pd.testing.assert_series_equal(run(with_fit, tmp_path / "out", *args), before, check_exact=True)
        assert path.read_bytes() == right


def one_line(capsys: pytest.CaptureFixture[str], toys: Toys, out: Path, *args: object) -> str:
    words = ["run", "--task", toys.task, "--out", out, "--quiet", *ARGS, *args]
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_set_without_the_split_is_one_line(
    toy_family: Toys, learns: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = one_line(capsys, toy_family, tmp_path / "out", "--detector", learns)
    assert "detector 'learns' learns from images of split 'fit', and " in error
    assert "has no members of toy-a in it" in error
    assert not (tmp_path / "out").exists()


def test_a_group_on_both_sides_is_one_line(
    with_fit: Toys, learns: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = ImageSet.open(tmp_path / "more")
    every = images.read(images.index()["image_id"].tolist())
    grouped = [replace(one, group="one") if one.source == "noise" else one for one in every]
    ImageSet.write(grouped, tmp_path / "grouped")
    error = one_line(capsys, with_fit, tmp_path / "out", "--detector", learns, "--images", tmp_path / "grouped")
    assert "would learn from group 'one' of noise" in error


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "fit returned NoneType"),
        ('{"w": [1.0]}', "fit returned a list as 'w'"),
        ('{"w": torch.tensor([torch.nan])}', "what it learnt as 'w' holds numbers that are not finite"),
    ],
)
def test_a_fit_that_returns_no_tensors_is_one_line(
    returned: str, message: str, with_fit: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = LEARNS.format(reads='{"image"}').replace(
        "        sums, seen", f"        return {returned}\n        sums, seen"
    )
    (tmp_path / "mine.py").write_text(text)
    error = one_line(
        capsys, with_fit, tmp_path / "out", "--detector", f"{tmp_path}/mine.py", "--images", tmp_path / "more"
    )
    assert error.startswith("error: detector 'learns': ")
    assert message in error


def test_what_was_learnt_is_taken_over_where_no_score_is(
    with_fit: Toys, learns: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--images", tmp_path / "more", "--detector", learns, "--encoder", "original", "--target", "toy-a")
    run(with_fit, tmp_path / "first", *options, "--attack", "none")
    monkeypatch.setattr(learn, "fit_all", lambda *args: pytest.fail("it learnt again"))
    run(with_fit, tmp_path / "second", *options, "--attack", "jpeg50", "--reuse", tmp_path / "first")
