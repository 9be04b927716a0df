"""Every extra of pyproject.toml that users need is named where its package is missing, and before any work."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from iarbench.cli import main
from iarbench.errors import UserError
from iarbench.extras import EXTRA_OF, optional

ROOT = Path(__file__).parents[1]
FOR_DEVELOPERS = {"dev", "browser"}


def test_the_table_is_that_of_pyproject() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    declared = {
        re.split(r"[\[<>=]", package)[0]: extra
        for extra, packages in extras.items()
        if extra not in FOR_DEVELOPERS
        for package in packages
    }
    assert declared == EXTRA_OF


@pytest.mark.parametrize(("module", "extra"), EXTRA_OF.items())
def test_a_missing_package_names_its_extra(module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as error:
        optional(module, "this")
    assert str(error.value) == f"this needs {module}: pip install 'iarbench[{extra}]'"


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["run", "--launch", "slurm", "--jobs", "2"], "submitit"),
        (["attack", "--images", "iarbench-mini", "--attack", "jpeg50", "--launch", "ray"], "ray"),
        (["generate", "--generator", "var-mini", "--count", "4", "--launch", "ray"], "ray"),
    ],
)
def test_a_command_says_so_first(
    words: list[str], module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    extra = EXTRA_OF[module]
    assert capsys.readouterr().err == f"error: --launch {extra} needs {module}: pip install 'iarbench[{extra}]'\n"
    assert not (tmp_path / "out").exists()


def test_nothing_else_looks_for_packages() -> None:
    """A module that imports an optional package by itself would end in a traceback."""
    pattern = re.compile(rf"^\s*(import|from) ({'|'.join(EXTRA_OF)})\b", re.MULTILINE)
    found = [path.name for path in (ROOT / "iarbench").rglob("*.py") if pattern.search(path.read_text())]
    assert found == ["slurm_arrays.py"]  # within a job of submitit's
