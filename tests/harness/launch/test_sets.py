"""Image sets made shard by shard: resumed where they were stopped, and the same whoever makes them."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from toys import Toys, records, run

from iarbench.cli import main
from iarbench.harness import execute
from iarbench.harness.launch import attack_work, generate_work
from iarbench.images.image_set import ImageSet
from iarbench.models import variants

GENERATE = ["generate", "--generator", "var-mini", "--count", "10", "--shard", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images, made in one go."""
    out = tmp_path_factory.mktemp("sets") / "whole"
    assert main([*GENERATE, "--out", str(out)]) == 0
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_an_outliving_process_was_writing_is_no_part_of_a_set(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = generate_work.write_shard

    def as_another_writes(found, path: Path) -> int:  # one of a killed command that has not ended yet
        (path.parent / f".{path.name}.{platform.node()}.{os.getppid()}.tmp").write_bytes(b"half")
        return write(found, path)

    monkeypatch.setattr(generate_work, "write_shard", as_another_writes)
    assert main([*GENERATE, "--out", str(tmp_path / "set")]) == 0
    assert files(tmp_path / "set").keys() == files(whole).keys()


def test_generating_resumes_at_the_shard_where_it_was_stopped(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, made = tmp_path / "set", []
    write = generate_work.write_shard

    def at_most_one(found, path: Path) -> int:
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(path.name)
        return write(found, path)

    with monkeypatch.context() as stopped:
        stopped.setattr(generate_work, "write_shard", at_most_one)
        assert main([*GENERATE, "--out", str(out)]) == 130
    assert not out.exists()
    assert [path.name for path in (tmp_path / ".set.unfinished").glob("*.parquet")] == ["part-00000.parquet"]
    capsys.readouterr()
    assert main(["status", str(out), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert [status[name] for name in ("parts", "parts_done", "images", "images_done")] == [3, 1, 10, 4]
    assert main([*GENERATE, "--out", str(out), "--seed", "1"]) == 2
    assert "holds what another command left unfinished" in capsys.readouterr().err
    monkeypatch.setattr(generate_work, "write_shard", lambda found, path: (made.append(path.name), write(found, path)))
    assert main([*GENERATE, "--out", str(out)]) == 0
    assert made == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert files(out) == files(whole)
    assert list(tmp_path.iterdir()) == [out]


def test_what_was_made_is_recorded_and_its_classes_balanced(whole: Path) -> None:
    told = json.loads((whole / "generation.json").read_text())
    assert (told["generator"], told["count"], told["seed"], told["split"]) == ("var-mini", 10, 0, "test")
    assert told["settings"] == dict(variants.get("var-mini").sampling["default"])
    counts = Counter(ImageSet.open(whole).index()["condition"])
    assert max(counts.values()) == 1


@pytest.mark.long
def test_several_processes_make_the_same_set(whole: Path, tmp_path: Path) -> None:
    words = [*GENERATE, "--out", str(tmp_path / "set"), "--launch", "local", "--jobs", "2"]
    command = [sys.executable, "-m", "iarbench", *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "set") == files(whole)


def test_a_gpu_whose_memory_runs_out_samples_half_at_a_time_and_says_so(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make = generate_work.make_records

    def scarce(*args, **more):
        if args[7] > 3:
            raise torch.OutOfMemoryError
        return make(*args, **more)

    monkeypatch.setattr(generate_work, "make_records", scarce)
    assert main([*GENERATE, "--out", str(tmp_path / "set"), "--batch-size", "6"]) == 0
    note = "note: the GPU has too little memory for batches of 6; going on with 3\n"
    assert capsys.readouterr().err.count(note) == 1
    assert files(tmp_path / "set") == files(whole)
    assert main([*GENERATE, "--out", str(tmp_path / "other"), "--batch-size", "50"]) == 2
    assert "for batches of 25; repeat with --batch-size 6" in capsys.readouterr().err


def test_a_gpu_whose_memory_runs_out_scores_half_at_a_time_and_says_so(
    toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = ("--target", "toy-a", "--encoder", "original", "--attack", "none", "--batch-size", "8")
    usual = run(toy_family, tmp_path / "usual", *narrow)
    score, sizes = execute.score, []

    def scarce(columns, batch, settings, *conditions) -> None:
        sizes.append(settings.batch_size)
        if len(batch) > 4:
            raise torch.OutOfMemoryError
        score(columns, batch, settings, *conditions)

    monkeypatch.setattr(execute, "score", scarce)
    found = run(toy_family, tmp_path / "scarce", *narrow)
    assert found.equals(usual)
    assert capsys.readouterr().err.count("too little memory for batches of 8; going on with 4") == 1
    assert set(sizes) == {8, 4}


def test_attacking_resumes_and_what_was_left_out_is_still_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ImageSet.write(records(3), tmp_path / "images")
    write = attack_work.write_shard
    failing = ImageSet.open(tmp_path / "images").index()["image_id"].tolist()[1]
    attack_image = attack_work.attack_image

    def fail_at_one(attack, image, image_id):
        if image_id == failing:
            raise ValueError("too large")
        return attack_image(attack, image, image_id)

    def stop_at_second(found, path: Path) -> int:
        if "00001" in path.name:
            raise KeyboardInterrupt
        return write(found, path)

    words = ["attack", "--images", str(tmp_path / "images"), "--attack", "jpeg50", "--shard", "5"]
    words += ["--out", str(tmp_path / "set")]
    monkeypatch.setattr(attack_work, "attack_image", fail_at_one)
    with monkeypatch.context() as stopped:
        stopped.setattr(attack_work, "write_shard", stop_at_second)
        assert main(words) == 130
    assert main(words) == 1
    assert f"error: {failing}: jpeg50 failed (ValueError: too large)" in capsys.readouterr().err
    assert len(ImageSet.open(tmp_path / "set")) == 17
    assert sorted(path.name for path in (tmp_path / "set").iterdir())[0] == "attack.json"
    assert len(list((tmp_path / "set").glob(".*"))) == 0


@pytest.mark.long
def test_killed_again_and_again_the_set_is_the_same(tmp_path: Path) -> None:
    words = ["generate", "--generator", "var-mini", "--count", "60", "--shard", "10", "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    command = [sys.executable, "-m", "iarbench", *words, "--out", str(tmp_path / "set")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for wanted in (1, 3, 5):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
            while process.poll() is None and len(list((tmp_path / ".set.unfinished").glob("*.parquet"))) < wanted:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
    subprocess.run(command, check=True, env=environment)
    assert files(tmp_path / "set") == files(tmp_path / "whole")
