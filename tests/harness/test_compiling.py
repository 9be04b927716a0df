"""`--compile`: the same scores, or one line that says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from toys import Toys, run

from iarbench.cli import main

ARGS = ("--detector", "encloss", "--encoder", "inverse", "--target", "toy-a", "--attack", "none", "--limit", "5")

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler (g++) here")

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def nothing_compiled_before() -> None:
    torch._dynamo.reset()


@needs_compiler
def test_compiled_passes_give_the_same_scores(toy_family: Toys, tmp_path: Path) -> None:
    plain = run(toy_family, tmp_path / "plain", *ARGS)
    with torch._dynamo.config.patch(error_on_recompile=True):
        # batches of 4 do not divide chunks of 5: the last ones are filled up
        compiled = run(toy_family, tmp_path / "compiled", *ARGS, "--compile", "--batch-size", "4", "--workers", "0")
    pd.testing.assert_series_equal(compiled, plain, rtol=1e-5, atol=1e-7)
    for name in ("plain", "compiled"):
        (one,) = json.loads((tmp_path / name / "manifest.json").read_text())["runs"]
        assert one["compile"] is (name == "compiled")


def test_no_compiler_is_one_line(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor.cpp, "cxx", (None, "/nowhere/c++"))
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    out = str(tmp_path / "o")
    words = ["run", "--task", str(toy_family.task), "--out", out, "--quiet", "--device", "cpu", *ARGS, "--compile"]
    assert main(words) == 2
    *_, line = capsys.readouterr().err.splitlines()  # before it: torch says that its caches are off
    assert line.startswith("error: --compile: torch cannot compile here (")
    assert "C++ compiler" in line
    assert line.endswith("; repeat without it")
