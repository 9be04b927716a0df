"""`--launch slurm` on a real cluster of one machine: whatever happens to its jobs, the scores stay what they are."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from test_scale_docs import NARROW, readme_line
from toys import scores

from iarbench.errors import UserError
from iarbench.harness.launch import slurm_arrays

CLUSTER = Path(__file__).parents[2] / "cluster" / "slurm.sh"
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch")

DEFAULT_TASK = [
    *("run", "--limit", "10", "--detector", "quantloss", "--encoder", "inverse", "--attack", "none,jpeg50"),
    *("--target", "llamagen-mini,taming-mini,rar-mini", "--device", "cpu"),
]
"""The packaged task, small enough for a test."""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster with four cores to give."""
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(f"{missing[0]} is not installed (Debian: apt install slurm-wlm munge)")
    if os.geteuid() != 0:
        pytest.skip("only root starts a SLURM cluster")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([CLUSTER, "start", folder, "4"], capture_output=True, text=True)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        if started.returncode:
            pytest.skip(f"no SLURM cluster here: {started.stderr.strip()}")
        yield
        subprocess.run(["scancel", "--user=root"], check=False)
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=False)
        os.environ.pop("SLURM_CONF") if before is None else os.environ.update(SLURM_CONF=before)


def wait_for(what: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)


def iarbench(*args: object, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "iarbench", *map(str, args), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def rows(out: Path) -> pd.DataFrame:
    """The results, times apart."""
    return pd.read_json(out / "results.jsonl", lines=True).drop(columns="seconds_per_image")


def elements(states: str) -> list[str]:
    """Elements of arrays in these states, "123_0"."""
    command = ["squeue", "--me", "--array", "--noheader", f"--states={states}", "--format=%F_%K"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.long
def test_requeued_cancelled_and_abandoned_the_array_ends_with_the_scores_of_one_process(
    slurm: None, tmp_path: Path
) -> None:
    with iarbench(*DEFAULT_TASK, out=tmp_path / "alone") as process:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    out, command = tmp_path / "array", [*DEFAULT_TASK, "--launch", "slurm", "--jobs", "4"]
    with iarbench(*command, out=out) as submitter:
        wait_for(lambda: len(elements("running")) == 4)
        wait_for(lambda: len(list(out.rglob("scores/**/*.parquet"))) >= 2)
        first, second, third, _ = sorted(elements("running"))
        subprocess.run(["scontrol", "requeue", first], check=True)
        subprocess.run(["scancel", second, third], check=True)
        submitter.send_signal(signal.SIGKILL)
        submitter.communicate()
    assert len(list(out.rglob("scores/**/*.parquet"))) < 2 * 2 * 3 * 6  # it was in the middle
    subprocess.run(["scontrol", "update", f"JobId={first}", "StartTime=now"], check=False)
    wait_for(lambda: not set(elements("completing,running")) & {second, third})
    (folder,) = (out / "work").glob("*/slurm")
    held = {key for share in slurm_arrays.held_keys(folder.parent) for key in share}
    with iarbench(*command, out=out) as again:
        _, err = again.communicate(timeout=900)
        assert again.returncode == 0, err
    pd.testing.assert_series_equal(scores(out), scores(tmp_path / "alone"), rtol=0, atol=0)
    pd.testing.assert_frame_equal(rows(out), rows(tmp_path / "alone"))
    assert held, "nothing was running when the command was given again"


@pytest.mark.long
def test_images_are_imported_by_an_array(slurm: None, tmp_path: Path) -> None:
    command = ("images", "import", "iarbench-mini", "--size", "32", "--limit", "60", "--shard", "10")
    for out, launched in (("alone", ()), ("array", ("--launch", "slurm", "--jobs", "3"))):
        with iarbench(*command, *launched, out=tmp_path / out) as process:
            _, err = process.communicate(timeout=600)
            assert process.returncode == 0, err
    made, alone = ({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in ("array", "alone"))
    assert made == alone


@pytest.mark.long
def test_what_is_queued_is_not_submitted_again(slurm: None, tmp_path: Path) -> None:
    subprocess.run(["scancel", "--user=root"], check=False)
    wait_for(lambda: not elements("pending,running,completing"))
    folder = tmp_path / "work" / "order"
    engine = slurm_arrays.SlurmArrays(2, {}, "cpu")
    partition = ["scontrol", "update", "PartitionName=cpu"]
    subprocess.run([*partition, "State=DOWN"], check=True)  # so that all stay pending
    engine.start(folder, ["a", "b", "c"])
    try:
        assert sorted(key for share in slurm_arrays.held_keys(folder) for key in share) == ["a", "b", "c"]
        before = len(elements("pending,running,completing"))
        slurm_arrays.SlurmArrays(2, {}, "cpu").start(folder, ["c", "a", "b"])  # as after a kill of the submitter
        assert len(elements("pending,running,completing")) == before == 2
        slurm_arrays.SlurmArrays(2, {}, "cpu").start(folder, ["c", "d"])
        assert len(elements("pending,running,completing")) == 3
    finally:
        subprocess.run(["scancel", "--user=root"], check=False)
        subprocess.run([*partition, "State=UP"], check=True)


@pytest.mark.long
def test_a_parameter_that_submitit_does_not_know_is_one_line(slurm: None, tmp_path: Path) -> None:
    engine = slurm_arrays.SlurmArrays(2, {"partitoin": "gpu"}, "cpu")
    with pytest.raises(UserError, match=r"cannot submit.*partitoin"):
        engine.start(tmp_path / "work" / "order", ["a", "b"])


def test_without_slurm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="there is no squeue here; submit from a login node"):
        slurm_arrays.SlurmArrays(2, {}, "cpu").start(tmp_path, ["a"])


def test_the_batches_of_a_thousand_elements_hold_every_part_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[list[str]]] = []
    monkeypatch.setattr(slurm_arrays, "held_keys", lambda folder: [["k5"]])
    monkeypatch.setattr(slurm_arrays.SlurmArrays, "_submit", lambda self, folder, shares: batches.append(shares))
    keys = [f"k{number}" for number in range(5000)]
    slurm_arrays.SlurmArrays(2500, {}, "cpu").start(tmp_path, keys)
    assert [len(batch) for batch in batches] == [1000, 1000, 500]
    given = [key for batch in batches for share in batch for key in share]
    assert sorted(given) == sorted(set(keys) - {"k5"})


@pytest.mark.long
def test_the_line_of_the_readme_runs(slurm: None, tmp_path: Path) -> None:
    words = [word.replace("partition=gpu", "partition=cpu") for word in readme_line("slurm")]
    del words[words.index("--out") : words.index("--out") + 2]
    words[words.index("--jobs") + 1] = "2"
    with iarbench(*words, *NARROW, out=tmp_path / "run") as process:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
