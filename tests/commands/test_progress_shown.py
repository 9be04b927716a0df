"""Every kind of work that can take long says how far it is, on standard error, and --quiet silences it."""

from __future__ import annotations

from pathlib import Path

import pytest
import toys as bench
from toys import Toys

from iarbench import progress
from iarbench.cli import main


@pytest.fixture(scope="module")
def finished(toys: Toys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    done = toys.iarbench("run", "--task", toys.task, "--out", out, "--quiet", "--detector", "quantloss")
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (["report", "RUN"], "computing results 4/4 scores"),
        (["report", "RUN"], "checking scores "),
        (["plot", "RUN"], "computing results 4/4 scores"),
        (["board", "build", "--own", "--run", "RUN", "--out", "OUT"], "computing results 4/4 scores"),
        (["verify", "RUN"], "computing results 4/4 scores"),
        (["verify", "RUN"], "checking images 150/150 images"),
        (["images", "verify", "SET"], "checking images 150/150 images"),
        (["audit", "SET"], "audit 150/150 images"),
        (["check", "detector", "quantloss", "--target", "llamagen-mini"], "checking 3/3 passes over the images"),
        (["attack", "--images", "SET", "--attack", "jpeg50", "--out", "OUT"], "attack jpeg50 150/150 images"),
    ],
)
def test_long_commands_show_how_far_they_are(
    words: list[str],
    label: str,
    finished: Path,
    toy_family: Toys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    places = {"RUN": finished, "SET": toy_family.images, "OUT": tmp_path / "out"}
    assert main([str(places.get(word, word)) for word in words]) in (0, 1)
    assert any(line.startswith(label) for line in capsys.readouterr().err.splitlines())


def test_a_run_shows_its_results_being_computed_unless_it_is_quiet(
    toy_family: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    few = ["run", "--task", str(toy_family.task), "--target", "toy-a", "--detector", "quantloss", "--attack", "none"]
    assert main([*few, "--out", str(tmp_path / "one")]) == 0
    shown = capsys.readouterr().err
    assert "checking images 125/125" in shown
    assert "scoring " in shown
    assert "computing results 2/2 scores" in shown
    bench.run(toy_family, tmp_path / "two", *few[3:])
    assert capsys.readouterr().err == ""
