"""What cannot be is known before any work: one line, before torch is even imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MISTAKES = {
    "run --task minni": "unknown task 'minni': did you mean 'mini'?",
    "run --detector quantlos": "unknown detector 'quantlos': did you mean 'quantloss'",
    "run --encoder inverted": "unknown encoder 'inverted': did you mean 'inverse'",
    "run --target var-mni": "unknown generator 'var-mni': did you mean 'var-mini'",
    "run --attack jpeg500": "attack 'jpeg500': the number is the quality, from 1 to 100",
    "run --attack jpeg50,jpeg050": "attacks 'jpeg50' and 'jpeg050' are the same one; leave one out",
    "run --attack resize.5,resize0.50": "attacks 'resize.5' and 'resize0.50' are the same one",
    "run --device gpu": "--device gpu: unknown device; choose auto, cpu, cuda, cuda:N or mps",
    "run --weights nowhere": "--weights nowhere: there is no such folder",
    "run --fpr 2": "--fpr: '2' is not a number between 0 and 1; write 1% as 0.01",
    "run --reuse nowhere": "nowhere: no scores to reuse",
    "run --images nowhere": "unknown image set 'nowhere'",
    "run --out file": "--out file: cannot be written (file: Not a directory); choose another place",
    "run --members here --real there": "--members and --real need exactly one --target",
    "report nowhere": "nowhere: no run here",
    "report file --png x.jpg": "--png: 'x.jpg' does not end in .png",
    "trace file --device gpu": "--device gpu: unknown device",
    "trace file --target nobody": "unknown generator 'nobody'",
    "trace file --alpha 0": "--alpha: '0' is not a number between 0 and 1",
    "trace nope.png": "nope.png: cannot be read (No such file or directory)",
    "trace file --out file/x.parquet": "--out file: cannot be written",
    "images import hub --out o": "hub: which repository? Write hub:owner/name",
    "images import folder --out o": "folder: which one? Write folder:PATH",
    "images import parquet: --out o": "parquet: which file or folder? Write parquet:PATH",
    "images import empty --out file": "file: already exists",
    "images import empty --out file/x": "--out file: cannot be written",
    "images join iarbench-mini iarbench-mini --out file/x": "--out file: cannot be written",
    "images pull hf:nobody/none --out file/x": "--out file: cannot be written",
    "audit iarbench-mini --page file/x.html": "--page file: cannot be written",
    "generate --generator nobody --count 1 --out o": "unknown generator 'nobody'",
    "generate --generator var-mini --count 1 --out file": "file: already exists",
    "generate --generator var-mini --count 1 --out o --grid x.xyz": "'x.xyz' does not end in one of .png, .jpg,",
    "generate --generator var-mini --count 1 --out o --grid file/x.png": "--grid file: cannot be written",
    "generate --generator var-mini --count 1 --out o --sampling nope": "var-mini has no sampling 'nope'",
    "generate --generator var-mini --count 1 --out o --split ../../x": "--split: '../../x' is no name",
    "generate --generator var-mini --count 1 --out o --device gpu": "--device gpu: unknown device",
    "attack --images iarbench-mini --attack jpg50 --out o": "unknown attack 'jpg': did you mean 'jpeg'",
    "attack --images iarbench-mini --attack none --out file/x": "--out file: cannot be written",
    "train tokenizer --name m --images nope --out o": "unknown image set or source 'nope'",
    "train tokenizer --name m --images empty --like nope --out o": "unknown generator 'nope'",
    "train tokenizer --name m --images empty --device gpu --out o": "--device gpu: unknown device",
    "train transformer --name m --images empty --out o": "o/m.yaml does not exist: run `iarbench train tokenizer",
    "train decoder --name m --images empty --out o": "train decoder needs --decoder",
    "train decoder --name m --images empty --out o --decoder 3": "--decoder: '3' is not a mapping such as",
    "finetune --generator nobody --out o": "unknown generator 'nobody'",
    "finetune --generator var-mini --out o --tokens-of nope": "unknown image set or source 'nope'",
    "finetune --generator var-mini --out file/x --launch local --jobs 1": "--out file/x: cannot be written",
    "finetune --generator var-mini --out o --launch local --weights nope": "--weights nope: there is no such folder",
    "finetune --generator var-mini --out o --launch local --tokens-of nope": "unknown image set or source 'nope'",
    "finetune --generator var-mini --out o --launch local --device gpu": "--device gpu: unknown device",
    "gallery build iarbench-mini --out o --weights nope": "--weights nope: there is no such file",
    "gallery build iarbench-mini --out file/x": "--out file: cannot be written",
    "gallery evaluate iarbench-mini --k 0": "--k 0: give whole numbers from 1",
    "gallery evaluate iarbench-mini --attack nope": "unknown attack 'nope'",
    "gallery evaluate iarbench-mini --device gpu": "--device gpu: unknown device",
}

ALL = """
import contextlib, io, json, sys
from iarbench.cli import main
found = []
for line in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(line.split())
    found.append([status, out.getvalue(), err.getvalue(), "torch" in sys.modules])
print(json.dumps(found))
"""


def answers(lines: list[str], folder: Path, **variables: str) -> list[tuple[int, str, str, bool]]:
    """Status, both outputs, and whether torch was imported, after each command line; all in one process."""
    (folder / "file").touch()
    for name in ("empty", "here", "there"):
        (folder / name).mkdir()
    variables = {"IARBENCH_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1", **variables}
    words = [sys.executable, "-c", ALL, json.dumps(lines)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, cwd=folder, env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stderr
    return [tuple(one) for one in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str, bool]]:
    folder = tmp_path_factory.mktemp("early")
    found = dict(zip(MISTAKES, answers(list(MISTAKES), folder), strict=True))
    assert sorted(path.name for path in folder.iterdir()) == ["empty", "file", "here", "there"]
    return found


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_before_torch_is_imported(line: str, told: dict[str, tuple[int, str, str, bool]]) -> None:
    status, out, err, torch = told[line]
    assert (status, out) == (1 if "nope.png" in line else 2, "")
    (said,) = err.splitlines()
    assert said.startswith("error: ")
    assert MISTAKES[line] in said
    assert not torch


def test_variables_are_checked_as_well(tmp_path: Path) -> None:
    wrong = {"IARBENCH_GENERATORS": str(tmp_path / "nowhere")}
    ((status, _, err, torch),) = answers(["run"], tmp_path, **wrong)
    assert (status, torch) == (2, False)
    assert err == (
        f"error: IARBENCH_GENERATORS: {tmp_path}/nowhere: there is no such folder; correct the variable or unset it\n"
    )
    for name in ("empty", "here", "there"):
        (tmp_path / name).rmdir()
    lines = ["trace file", "trace file --out table.parquet"]
    for status, _, err, torch in answers(lines, tmp_path, IARBENCH_CACHE=str(tmp_path / "file")):
        assert (status, torch) == (2, False)
        assert err.startswith(f"error: IARBENCH_CACHE {tmp_path}/file: cannot be written (")
