"""`iarbench trace --out`: a row per image wherever images lie, the same whoever computes, resumed when stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from toys import Toys, make_toys

from iarbench.cli import main
from iarbench.harness.launch import trace_work
from iarbench.images import inputs
from iarbench.images.image_set import ImageSet

TRACE = ["--detector", "quantloss", "--encoder", "original", "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def run(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, whose scores calibrate."""
    out = tmp_path_factory.mktemp("runs") / "calibration"
    done = toys.iarbench("run", "--task", toys.task, "--out", out, "--attack", "none", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def pictures(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images of toy-a and ten of noise as files, in two folders."""
    root = tmp_path_factory.mktemp("pictures")
    for source in ("toy-a", "noise"):
        (root / source).mkdir()
        for record in next(ImageSet.open(toys.images).filter(source=source, split="test").iterate(10)):
            (root / source / f"{record.image_id.rpartition('/')[2]}.png").write_bytes(record.bytes)
    return root


def traced(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out).set_index("image")


def test_a_stored_run_calibrates_and_every_image_has_a_row(
    toy_family: Toys, run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "flagged.parquet"
    words = ["trace", str(pictures), "--calibration", str(run), "--alpha", "0.2", *TRACE]
    assert main([*words, "--out", str(out)]) == 0
    found = traced(out)
    assert len(found) == 20
    own = found.index.str.contains("toy-a/")
    assert (found["answer"][own] == "toy-a").all()
    assert (found["answer"][~own] == "none of them").sum() >= 7
    assert found["p_adjusted"].equals(found[["p_adjusted_toy-a", "p_adjusted_toy-b"]].min(axis=1).rename("p_adjusted"))
    assert capsys.readouterr().out.splitlines()[0].split() == ["answer", "images"]
    told = json.loads(pq.read_schema(out).metadata[b"iarbench"])
    assert (told["alpha"], told["task"]) == (0.2, "toys")
    assert list(tmp_path.iterdir()) == [out]
    # the same scores, p-values and answers as the command that prints them
    assert (
        main(["trace", *map(str, found.index), "--task", str(toy_family.task), "--alpha", "0.2", "--json", *TRACE]) == 0
    )
    for line in capsys.readouterr().out.splitlines()[:20]:
        one = json.loads(line)
        row = found.loc[one["image"]]
        assert row["score_toy-a"] == next(v["score"] for v in one["verdicts"] if v["target"] == "toy-a")


def test_parquet_and_image_sets_are_read_as_they_are(toy_family: Toys, run: Path, tmp_path: Path) -> None:
    words = ["trace", str(toy_family.images), "--calibration", str(run), "--alpha", "0.2", *TRACE]
    assert main([*words, "--out", str(tmp_path / "all.parquet")]) == 0
    assert sorted(traced(tmp_path / "all.parquet").index) == sorted(
        ImageSet.open(toy_family.images).index()["image_id"]
    )


def test_it_resumes_and_several_processes_write_the_same_table(
    toy_family: Toys, run: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "AT_ONCE", 6)
    words = ["trace", str(pictures), "--calibration", str(run), "--alpha", "0.2", *TRACE]
    whole, resumed, shared = (tmp_path / f"{name}.parquet" for name in ("whole", "resumed", "shared"))
    assert main([*words, "--out", str(whole)]) == 0
    written: list[str] = []
    write = trace_work.write_atomically

    def stop_at_third(path: Path, fill) -> None:
        if path.name.startswith("part-"):
            if len(written) == 2:
                raise KeyboardInterrupt
            written.append(path.name)
        write(path, fill)

    with monkeypatch.context() as stopped:
        stopped.setattr(trace_work, "write_atomically", stop_at_third)
        assert main([*words, "--out", str(resumed)]) == 130
    assert not resumed.exists()
    assert main([*words, "--out", str(resumed)]) == 0
    assert main([*words, "--out", str(shared), "--launch", "local", "--jobs", "2"]) == 0
    pd.testing.assert_frame_equal(traced(resumed), traced(whole), rtol=0, atol=0)
    pd.testing.assert_frame_equal(traced(shared), traced(whole), rtol=0, atol=0)


def test_align_is_not_forgotten(
    toy_family: Toys, run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["trace", str(pictures), "--calibration", str(run), *TRACE, "--align", "phase"]
    assert main([*words, "--out", str(tmp_path / "x.parquet")]) == 2
    assert "quantloss:align=phase" in capsys.readouterr().err  # the run has none of its scores


def test_what_cannot_be_read_is_named_and_never_stops_it(
    toy_family: Toys, run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"no picture")
    made = make_toys(tmp_path / "more", 3)
    data = (made.images / "part-00000.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    middle = bytearray(data)
    middle[100:2000] = bytes(1900)
    (tmp_path / "hurt.parquet").write_bytes(middle)
    sources = [str(pictures), str(folder), str(tmp_path / "cut.parquet"), str(tmp_path / "hurt.parquet"), "nowhere"]
    words = ["trace", *sources, "--calibration", str(run), "--alpha", "0.2", *TRACE]
    assert main([*words, "--out", str(tmp_path / "t.parquet")]) == 1
    err = capsys.readouterr().err
    assert "error: nowhere: cannot be read" in err
    assert f"error: {tmp_path / 'cut.parquet'}: cannot be read" in err
    assert f"error: {tmp_path / 'hurt.parquet'}: cannot be read" in err
    assert "Traceback" not in err
    found = traced(tmp_path / "t.parquet")
    assert found["answer"].notna().sum() == 20
    assert pd.isna(found.loc[str(folder / "broken.png")]["answer"])
    assert "broken.png" in found.loc[str(folder / "broken.png")]["problem"]


def test_a_run_that_lacks_the_scores_is_refused(
    toy_family: Toys, run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["trace", str(pictures), "--calibration", str(run), "--detector", "encloss", "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "t.parquet")]) == 2
    assert "no scores of detector 'encloss' for toy-a" in capsys.readouterr().err
    assert main(["trace", str(pictures), "--calibration", str(pictures), "--out", str(tmp_path / "t.parquet")]) == 2
    assert "not a finished run" in capsys.readouterr().err
    assert main(["trace", str(pictures), "--calibration", str(run)]) == 2
    assert "--calibration needs --out FILE" in capsys.readouterr().err
