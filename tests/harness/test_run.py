"""The whole way from images to results on toys: what must stay the same, and what must not."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from toys import Toys, auroc, records, run, scores

from iarbench.cli import main
from iarbench.harness import manifest as manifests
from iarbench.harness.plan import Settings
from iarbench.harness.run import prepare
from iarbench.images.image_set import ImageSet
from iarbench.results.rows import Row, read_rows
from iarbench.results.view import View, chosen
from iarbench.task import Task


@pytest.fixture(scope="module")
def undisturbed(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, made by a process of its own."""
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    done = toys.iarbench("run", "--task", toys.task, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def test_a_run_leaves_everything_it_should(undisturbed: Path) -> None:
    assert len(scores(undisturbed)) == 2 * 2 * 2 * (25 + 100) * 2
    index = pd.read_parquet(undisturbed / "images.parquet")
    assert len(index) == 150
    assert not {"bytes", "image"} & set(index)
    assert (undisturbed / "results.png").read_bytes().startswith(b"\x89PNG")
    assert not list(undisturbed.rglob("*.tmp"))
    assert auroc(undisturbed, detector="quantloss", encoder="inverse", target="toy-a", attack="none",
                 nonmember_set="pooled") == 1.0  # fmt: skip


def test_the_manifest_says_what_was_done(undisturbed: Path, toys: Toys) -> None:
    manifest = json.loads((undisturbed / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["task"]["text"] == toys.task.read_text()
    assert manifest["images"]["fingerprint"] == ImageSet.open(toys.images).fingerprint
    assert sorted(manifest["weights"]) == ["toy-a/inverse", "toy-a/original", "toy-b/inverse", "toy-b/original"]
    (one,) = manifest["runs"]
    assert one["command"] == f"iarbench run --task {toys.task} --out {undisturbed}"
    assert one["images_scored"] == 300
    assert one["seconds"] > 0
    assert one["peak_memory_mib"] > 50
    assert {"torch", "numpy", "pillow", "albumentations"} <= set(one["packages"])
    assert {"cpu", "cores", "memory_gib"} <= set(one["hardware"])


def test_the_second_run_ends_at_once_without_torch_and_changes_nothing(undisturbed: Path, toys: Toys) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    began = os.times()
    done = toys.iarbench("run", "--task", toys.task, "--out", undisturbed)
    ended = os.times()
    seconds = ended.children_user + ended.children_system - began.children_user - began.children_system
    assert done.returncode == 0
    assert "toy-a" in done.stdout
    assert done.stderr.splitlines()[-1] == "heavy modules:"
    assert seconds < 4  # of processor time; 1 s where it was measured
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")} == before


def test_report_recomputes_the_same_rows_without_torch(undisturbed: Path, toys: Toys) -> None:
    stored = read_rows(undisturbed / "results.jsonl")
    short = toys.iarbench("report", undisturbed, "--json")
    shown = chosen(stored, View())
    assert [Row(**row) for row in json.loads(short.stdout)["rows"]] == shown
    assert 0 < 4 * len(shown) < len(stored)
    done = toys.iarbench("report", undisturbed, "--json", "--all-scores", "--all-encoders", "--all-sets")
    assert [Row(**row) for row in json.loads(done.stdout)["rows"]] == stored
    assert done.stderr.splitlines()[-1] == "heavy modules:"


@pytest.mark.parametrize("table", ["--details", "--ranks"])
def test_report_works_where_torch_is_not_installed(undisturbed: Path, table: str) -> None:
    bare = "import sys; sys.modules['torch'] = None; from iarbench.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", bare, "report", str(undisturbed), table, "--format", "markdown"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| quantloss | inverse |" in done.stdout


@pytest.mark.long
def test_killed_at_random_moments_it_ends_with_the_same_scores(undisturbed: Path, toys: Toys, tmp_path: Path) -> None:
    out, command = tmp_path / "killed", ("run", "--task", toys.task, "--out", tmp_path / "killed", "--batch-size", "8")
    moments = random.Random()
    for _ in range(5):
        already = len(list(out.rglob("*.parquet")))
        wanted = already + moments.randint(1, 12)
        with toys.popen(*command) as process:
            while process.poll() is None and len(list(out.rglob("*.parquet"))) < wanted:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        stored = {path: path.stat().st_mtime_ns for path in (out / "scores").rglob("*.parquet")}
        assert already < len(stored) < 80
    done = toys.iarbench(*command)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_series_equal(scores(out), scores(undisturbed), rtol=0, atol=1e-6)
    assert all(path.stat().st_mtime_ns == written for path, written in stored.items())
    runs = json.loads((out / "manifest.json").read_text())["runs"]
    assert ["ended" in run for run in runs] == [False] * 5 + [True]
    assert len(list((out / "scores").rglob("*"))) == len(list((undisturbed / "scores").rglob("*")))


def test_interrupted_it_says_so_in_one_line_and_resumes(toys: Toys, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with toys.popen("run", "--task", toys.task, "--out", out, "--batch-size", "1", "--workers", "1") as process:
        while process.poll() is None and not list((out / "scores").rglob("*.parquet")):
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-2] == "interrupted; what is finished is kept. Re-run the same command to resume."
    assert "Traceback" not in err
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("options", [("--batch-size", "1"), ("--batch-size", "64", "--workers", "2")])
def test_batches_and_workers_change_no_score(toy_family: Toys, undisturbed: Path, tmp_path: Path, options) -> None:
    found = run(toy_family, tmp_path / "o", "--target", "toy-b", "--encoder", "original", *options)
    assert len(found) == 2 * 125 * 2
    pd.testing.assert_series_equal(found, scores(undisturbed)[found.index], rtol=1e-5, atol=1e-7)


def test_a_damaged_part_is_computed_again(toy_family: Toys, tmp_path: Path) -> None:
    args = ("--detector", "quantloss", "--attack", "none", "--target", "toy-a", "--encoder", "original")
    before = run(toy_family, tmp_path / "o", *args)
    first, second, *_ = sorted((tmp_path / "o" / "scores").rglob("*.parquet"))
    first.write_bytes(first.read_bytes()[:100])
    second.unlink()
    pd.testing.assert_series_equal(run(toy_family, tmp_path / "o", *args), before)
    assert json.loads((tmp_path / "o" / "manifest.json").read_text())["runs"][-1]["images_scored"] == 50


def test_limit_then_all_gives_what_all_gives(toy_family: Toys, undisturbed: Path, tmp_path: Path) -> None:
    few = run(toy_family, tmp_path / "o", "--limit", "5", "--detector", "quantloss")
    assert len(few) == 2 * 2 * (5 + 20) * 2
    everything = run(toy_family, tmp_path / "o", "--detector", "quantloss")
    before = scores(undisturbed).loc[["quantloss"]]
    pd.testing.assert_series_equal(everything, before, rtol=1e-5, atol=1e-7)
    pd.testing.assert_series_equal(few, everything[few.index], rtol=1e-5, atol=1e-7)


def test_swapping_the_bytes_of_two_members_swaps_their_scores(
    toy_family: Toys, undisturbed: Path, tmp_path: Path
) -> None:
    one, two = "toy-a/test/00001", "toy-b/test/00002"
    found = {record.image_id: record for record in records()}
    for here, there in ((one, two), (two, one)):
        source = next(record for record in records() if record.image_id == there)
        found[here] = dataclasses.replace(found[here], bytes=source.bytes, sha256=source.sha256)
    ImageSet.write(found.values(), tmp_path / "swapped")
    args = ("--images", tmp_path / "swapped", "--detector", "quantloss", "--encoder", "inverse", "--attack", "none")
    swapped = run(toy_family, tmp_path / "o", *args)
    before = scores(undisturbed).loc["quantloss", "quantloss", "toy-a", "inverse", "none"]
    after = swapped.loc["quantloss", "quantloss", "toy-a", "inverse", "none"]
    assert after[one] == before[two] != before[one] == after[two]
    rest = before.index.difference([one, two])
    pd.testing.assert_series_equal(after[rest], before[rest], rtol=1e-5, atol=1e-7)
    where = {"detector": "quantloss", "encoder": "inverse", "target": "toy-a", "attack": "none"}
    assert auroc(undisturbed, **where, nonmember_set="toy-b") == 1.0
    # of 25 x 25 pairs the 24 x 24 untouched ones are still right, and the two swapped images are wrong to each other
    assert 24 * 24 / 625 <= auroc(tmp_path / "o", **where, nonmember_set="toy-b") <= 624 / 625


def test_images_of_another_generator_are_not_taken_for_the_targets(toy_family: Toys, tmp_path: Path) -> None:
    other = {"toy-a": "toy-b", "toy-b": "toy-a"}
    exchanged = (dataclasses.replace(r, source=other.get(r.source, r.source)) for r in records())
    ImageSet.write(exchanged, tmp_path / "exchanged")
    run(toy_family, tmp_path / "o", "--images", tmp_path / "exchanged", "--detector", "quantloss", "--attack", "none")
    where = {"detector": "quantloss", "encoder": "inverse", "target": "toy-a", "attack": "none"}
    assert auroc(tmp_path / "o", **where, nonmember_set="toy-b") == 0.0


def test_only_the_attacked_side_is_scored_under_an_attack(toy_family: Toys, tmp_path: Path) -> None:
    args = ("--attacked", "members", "--attack", "jpeg50", "--detector", "quantloss", "--encoder", "original")
    found = run(toy_family, tmp_path / "o", *args).reset_index()
    attacked = found[found["attack"] == "jpeg50"]
    assert (attacked["image_id"].str.split("/").str[0] == attacked["target"]).all()
    assert len(found[found["attack"] == "none"]) == 2 * 125
    rows = [r for r in read_rows(tmp_path / "o" / "results.jsonl") if r.attack == "jpeg50"]
    assert rows
    assert all(row.reason is None for row in rows if row.threshold_kind != "guaranteed")


def test_an_attacked_set_scores_like_the_attack_in_memory(toy_family: Toys, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "jpeg"
    assert main(["attack", "--images", str(toy_family.images), "--attack", "jpeg50", "--out", str(out)]) == 0
    stored = run(toy_family, tmp_path / "o", "--images", out, "--attack", "none", "--detector", "combined")
    assert json.loads((out / "attack.json").read_text())["attack"] == "jpeg50"
    memory = scores(undisturbed).loc["combined"].xs("jpeg50", level="attack")
    pd.testing.assert_series_equal(stored.loc["combined"].xs("none", level="attack"), memory, rtol=1e-5, atol=1e-9)


def test_a_folder_of_another_task_or_of_other_things_is_refused(
    toy_family: Toys, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(toy_family.task.read_text().replace("version: 1", "version: 2"))
    assert main(["run", "--task", str(other), "--out", str(undisturbed)]) == 2
    assert "holds a run of task toys version 1, not of toys version 2; choose another --out" in capsys.readouterr().err
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "thesis.tex").write_text("")
    assert main(["run", "--task", str(other), "--out", str(tmp_path / "things")]) == 2
    assert "is not the folder of a run and not empty" in capsys.readouterr().err


def test_a_dry_run_tells_and_does_nothing(
    toy_family: Toys, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ["run", "--task", str(toy_family.task), "--dry-run", "--json"]
    assert main([*task, "--out", str(tmp_path / "o")]) == 0
    fresh = json.loads(capsys.readouterr().out)
    assert (fresh["parts"], fresh["parts_done"], fresh["images_to_score"]) == (80, 0, 300)
    assert fresh["scores_to_compute"] == 2000
    assert not (tmp_path / "o").exists()
    assert main([*task, "--out", str(undisturbed)]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["parts_done"], done["images_to_score"], done["estimate"]) == (80, 0, "nothing to compute")
    assert main([*task, "--out", str(undisturbed), "--attack", "none,jpeg60"]) == 0
    assert "about" in json.loads(capsys.readouterr().out)["estimate"]


def test_an_unfinished_run_has_no_report(toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o"
    run(toy_family, out, "--limit", "2", "--detector", "quantloss", "--attack", "none")
    finished = manifests.read(out)
    assert finished is not None
    manifests.write(out, finished.model_copy(update={"status": "running"}))
    assert main(["report", str(out)]) == 2
    assert f"{out}: the run is not finished; repeat it: iarbench" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "manifest.json is damaged (Expecting"),
        ("[]", "manifest.json is damaged ('list' object"),
        ('{"status": "finished"}', "manifest.json was written by an older iarbench"),
        ('{"schema_version": 2, "status": "done"}', "manifest.json is damaged (status: Input should be"),
        ('{"schema_version": 9}', "manifest.json was written by a newer iarbench; upgrade this one, or choose"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_line_and_what_it_says_helps(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    out, few = tmp_path / "o", ("--limit", "2", "--detector", "quantloss", "--attack", "none")
    before = run(toy_family, out, *few)
    (out / "manifest.json").write_text(text)
    capsys.readouterr()
    assert main(["report", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert message.endswith("choose") or line.endswith(
        "; delete it and repeat the `iarbench run` command; the scores are used again"
    )
    (out / "manifest.json").unlink()
    pd.testing.assert_series_equal(run(toy_family, out, *few), before)
    assert json.loads((out / "manifest.json").read_text())["runs"][-1]["images_scored"] == 0


@pytest.mark.parametrize("name", ["results.jsonl", "results.png", "images.parquet", "parts.txt"])
def test_a_result_that_was_deleted_is_written_again(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out, few = tmp_path / "o", ("--limit", "2", "--detector", "quantloss", "--attack", "none")
    run(toy_family, out, *few)
    before = (out / name).read_bytes()
    (out / name).unlink()
    capsys.readouterr()
    if name in ("images.parquet", "parts.txt"):
        assert main(["report", str(out)]) == 2
        assert f"{out} lacks {name}; repeat the run, which writes it anew: iarbench" in capsys.readouterr().err
    run(toy_family, out, *few)
    assert (out / name).read_bytes() == before


def test_a_folder_that_cannot_be_written_is_one_line(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["run", "--task", str(toy_family.task), "--out", str(tmp_path / "file" / "o"), "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --out {tmp_path / 'file' / 'o'}: cannot be written (")
    assert line.endswith("Not a directory); choose another place")


def test_a_missing_gpu_is_one_line(toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["run", "--task", str(toy_family.task), "--out", str(tmp_path / "o"), "--device", "cuda"]) == 2
    assert capsys.readouterr().err == ("error: --device cuda: torch finds no CUDA device here; choose auto or cpu\n")


def test_too_little_memory_on_the_gpu_is_one_line_after_half_the_batch_was_tried(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from iarbench.detectors.quantloss import QuantLoss

    def fail(self, evidence):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(QuantLoss, "score", fail)
    assert main(["run", "--task", str(toy_family.task), "--out", str(tmp_path / "o"), "--quiet"]) == 2
    err = capsys.readouterr().err
    assert err.splitlines() == [
        "note: the GPU has too little memory for batches of 256; going on with 128",
        "error: the GPU has too little memory for batches of 128; repeat with --batch-size 32",
    ]


def test_a_run_of_the_first_images_of_each_role_has_results_of_these(toy_family: Toys, tmp_path: Path) -> None:
    text = toy_family.task.read_text().replace("name: toys", "name: few")
    (task := tmp_path / "few.yaml").write_text(text + "first: {members: 6, real: 20, others: 21}\n")
    args = ["--detector", "quantloss", "--attack", "none", "--out", str(tmp_path / "o"), "--quiet"]
    assert main(["run", "--task", str(task), *args]) == 0
    rows = [row for row in read_rows(tmp_path / "o" / "results.jsonl") if row.threshold_kind == "matched"]
    counts = {row.nonmember_set: (row.n_members, row.n_nonmembers, row.n_calibration) for row in rows}
    assert counts == {
        "noise": (6, 20, 20), "other-generators": (6, 21, 21), "pooled": (6, 41, 41),
        "toy-a": (6, 21, 21), "toy-b": (6, 21, 21),
    }  # fmt: skip
    assert all(row.value is not None for row in rows)


def test_two_runs_into_one_folder_at_a_time_lose_nothing_and_are_both_recorded(toys: Toys, tmp_path: Path) -> None:
    out = tmp_path / "both"
    commands = [("run", "--task", toys.task, "--out", out, "--target", target) for target in ("toy-a", "toy-b")]
    processes = [toys.popen(*command) for command in commands]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    manifest = json.loads((out / "manifest.json").read_text())
    assert sorted(run["command"][-5:] for run in manifest["runs"]) == ["toy-a", "toy-b"]
    assert all("ended" in run for run in manifest["runs"])
    assert manifest["status"] == "finished"
    assert {path.parts[-4] for path in out.rglob("scores/*/*/*/*/*.parquet")} == {"toy-a", "toy-b"}
    assert toys.iarbench("report", out).returncode == 0


def test_a_run_that_ends_keeps_what_another_has_recorded_meanwhile(toy_family: Toys, tmp_path: Path) -> None:
    plan = prepare(Task.load(str(toy_family.task)), Settings(device="cpu"))
    first = manifests.start(tmp_path, plan, Settings(), "first")
    second = manifests.start(tmp_path, plan, Settings(), "second")
    for begun in (first, second):
        manifests.write(tmp_path, manifests.finished(tmp_path, begun, 1.0, Settings(device="cpu"), 0, {}, "", {}))
    found = manifests.read(tmp_path)
    assert found is not None
    assert [(run.command, run.ended is not None) for run in found.runs] == [("first", True), ("second", True)]
