"""Lists of what there is read the source of installed packages and import none of it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from iarbench import registry
from iarbench.described import Described, described
from iarbench.registry import DETECTORS, Registry

STALE = Path(__file__).parent / "bugs" / "stale_entry_points"

THEIRS = '''
import torch
from typing import ClassVar
raise RuntimeError("imported")
class Base:
    """Above."""
    version: ClassVar[int] = 7
    strength: float
    filter: str = "bicubic"
    def __init__(self, steps: int = 200, *, lr: float = 0.1, must): ...
class Mine(Base):
    """What it is.

    More.
    """
    grid: int = 0
    filter: str = "nearest"
'''


def of(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> Described:
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint(name=name, value=value, group=group)])
    return next(one for one in described(Registry("thing", "iarbench.things", {})) if one.name == name)


def test_a_class_is_described_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs_here.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    one = of("mine", "theirs_here:Mine", monkeypatch)
    assert (one.broken, one.brief, one.value("version", "1")) == ("", "What it is.", "7")
    assert one.parameters() == ["steps=200", "lr=0.1", "must"]
    assert one.fields() == ["strength", "filter=nearest", "grid=0"]
    assert "theirs_here" not in sys.modules


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        (None, "gone_package.inside:X", "there is no module gone_package.inside"),
        ("import not_installed_dependency\nclass X: ...\n", "broken_here:X", "needs the package 'not_installed_dep"),
        ("from not_installed_dependency.a import b\nclass X: ...\n", "broken_here:X", "needs the package 'not_inst"),
        ("class Y: ...\n", "broken_here:X", "broken_here has no 'X'"),
        ("class X(:\n", "broken_here:X", "broken_here.py: invalid syntax"),
    ],
)
def test_what_is_broken_says_why(
    text: str | None, value: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "broken_here.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert message in of("theirs", value, monkeypatch).broken


def test_ours_are_what_they_are() -> None:
    for one in described(DETECTORS):
        kind = DETECTORS.get(one.name)
        assert (one.value("version", "1"), one.broken) == (str(kind.version), "")
        assert one.brief == kind.__doc__.strip().splitlines()[0]


def iarbench(*args: str, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-m", "iarbench", *args]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_a_broken_package_takes_no_command_down() -> None:
    listed = iarbench("ls", "detectors", path=STALE / "det")
    (line,) = (line for line in listed.stdout.splitlines() if line.startswith("broken"))
    assert line.endswith("brokenmod needs the package 'not_installed_dependency', which is not installed")
    assert "quantloss" in listed.stdout
    assert (listed.returncode, listed.stderr) == (0, "")
    asked = iarbench("run", "--dry-run", "--detector", "broken", path=STALE / "det")
    assert asked.returncode == 2
    assert asked.stderr == (
        "error: detector 'broken': cannot load brokenmod:Det: it needs the package 'not_installed_dependency', "
        "which is not installed\n"
    )


def test_a_package_of_generators_that_is_gone_takes_no_command_down() -> None:
    listed = iarbench("ls", "generators", path=STALE / "gen")
    (line,) = (line for line in listed.stdout.splitlines() if line.startswith("stale"))
    assert "cannot load my_removed_package:folder: it needs the package 'my_removed_package'" in line
    assert "llamagen-mini" in listed.stdout
    assert iarbench("run", "--dry-run", "--target", "var-mini", path=STALE / "gen").returncode == 0
    asked = iarbench("run", "--dry-run", "--target", "stale-mini", path=STALE / "gen")
    assert asked.returncode == 2
    assert "not read: stale (cannot load my_removed_package:folder" in asked.stderr
    assert asked.stderr.count("\n") == 1
