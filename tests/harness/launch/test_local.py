"""`--launch local`: the same scores from several processes, and what happens when some of it fails."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from toys import TASK, Toys, records, scores

from iarbench.cli import main
from iarbench.harness.launch import rounds
from iarbench.images.image_set import ImageSet

LOCAL = ("--launch", "local", "--jobs", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def alone(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> pd.Series:
    """The scores of one process."""
    out = tmp_path_factory.mktemp("runs") / "alone"
    done = toys.iarbench("run", "--task", toys.task, "--out", out)
    assert done.returncode == 0, done.stderr
    return scores(out)


def test_two_processes_give_the_scores_of_one_bit_for_bit(toys: Toys, alone: pd.Series, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = toys.iarbench("run", "--task", toys.task, "--out", out, *LOCAL)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_series_equal(scores(out), alone, rtol=0, atol=0)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["runs"][0]["launch"] == "local, 2 jobs"
    assert not (out / "work").exists()
    assert toys.iarbench("status", out).stdout == f"{out}: finished\n"


@pytest.mark.long
def test_what_cannot_be_read_is_set_aside_and_named_and_the_rest_goes_on(toys: Toys, tmp_path: Path) -> None:
    broken = [replace(one, bytes=b"no image", sha256="0" * 64) if place == 3 else one
              for place, one in enumerate(records())]  # fmt: skip
    ImageSet.write(broken, tmp_path / "images")
    (tmp_path / "task.yaml").write_text(TASK.format(images=tmp_path / "images"))
    out = tmp_path / "out"
    narrowed = ("--encoder", "original", "--attack", "none")
    done = toys.iarbench("run", "--task", tmp_path / "task.yaml", "--out", out, *narrowed, *LOCAL)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stderr.split("error: ")[1].splitlines()
    assert lines[0] == (
        "1 parts failed 3 times and were set aside; the rest is done, and the same command tries them again:"
    )
    assert "do not match its sha256" in lines[1]
    # every part but those of the one chunk that holds the image
    stored = sorted(path.name.rpartition("-")[0] for path in (out / "scores").rglob("*.parquet"))
    assert len(stored) == 2 * 2 * 5 - 2 * 2
    told = toys.iarbench("status", out, "--json")
    assert told.returncode == 1
    status = json.loads(told.stdout)
    assert (status["parts"] - status["parts_done"], status["failed"][0]["set_aside"]) == (1, 1)


KILLER = """
import os
import signal
from pathlib import Path

def predict(image):
    pixels = bytes(image.tobytes())
    if pixels == Path({picture!r}).read_bytes():
        with open({log!r}, "a") as log:
            log.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return float(pixels[0])
"""


@pytest.mark.long
def test_a_part_that_kills_its_process_costs_no_other_part(toys: Toys, tmp_path: Path) -> None:
    noise = ImageSet.open(toys.images).filter(source="noise", split="test")
    victim = next(noise.iterate())[7]  # not among those on which a detector is tried first
    (tmp_path / "pixels").write_bytes(victim.pil().tobytes())
    text = KILLER.format(picture=str(tmp_path / "pixels"), log=str(tmp_path / "log"))
    (tmp_path / "killer.py").write_text(text)
    out = tmp_path / "out"
    command = ("run", "--task", toys.task, "--out", out, "--attack", "none", "--detector", tmp_path / "killer.py")
    done = toys.iarbench(*command, *LOCAL)
    assert done.returncode == 1
    assert "1 parts failed 3 times" in done.stderr
    assert rounds.GONE in done.stderr
    assert (tmp_path / "log").read_text() == "xxx"
    (tmp_path / "pixels").write_bytes(b"")  # it kills no more
    assert toys.iarbench(*command, *LOCAL).returncode == 0


@pytest.mark.long
def test_killed_in_the_middle_nothing_is_lost_and_nothing_stays_behind(
    toys: Toys, alone: pd.Series, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("run", "--task", toys.task, "--out", out, *LOCAL)
    with toys.popen(*command) as process:
        while process.poll() is None and len(list((out / "scores").rglob("*.parquet"))) < 5:
            time.sleep(0.02)
        status = json.loads(toys.iarbench("status", out, "--json").stdout)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(status["running"]) == 2
    assert status["parts_done"] < status["parts"] == 12 + 2  # and what jpeg50 did to members
    before = {path: path.stat().st_mtime_ns for path in (out / "scores").rglob("*.parquet")}
    done = toys.iarbench(*command)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_series_equal(scores(out), alone, rtol=0, atol=0)
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())


def test_options_that_ask_for_another_are_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, line in {
        ("--jobs", "2"): "--jobs needs --launch local or slurm or ray",
        ("--launch", "local", "--slurm", "a=b"): "--slurm needs --launch slurm",
        ("--launch", "slurm"): "--launch slurm needs --jobs N, how many jobs the array has at a time",
        (
            "--launch",
            "slurm",
            "--jobs",
            "2",
            "--slurm",
            "gpu",
        ): "--slurm gpu: 'gpu' is not KEY=VALUE, such as partition=gpu",
    }.items():
        assert main(["run", "--out", str(tmp_path / "o"), *options]) == 2
        assert capsys.readouterr().err == f"error: {line}\n"


def test_status_of_a_run_that_has_only_begun_does_not_say_that_it_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text('{"status": "running"}')
    assert main(["status", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"].startswith("begun")


def test_status_of_nothing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 2
    assert "nothing here, finished or under way" in capsys.readouterr().err
