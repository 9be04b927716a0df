"""`finetune --generator a,b --launch local`: a generator a part, the encoders of one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from iarbench.cli import main

WORDS = ["finetune", "--generator", "taming-mini,var-mini", "--count", "4", "--epochs", "1", "--batch-size", "2"]


@pytest.mark.long
def test_two_processes_train_the_encoders_of_one(tmp_path: Path) -> None:
    assert main([*WORDS, "--device", "cpu", "--threads", "1", "--out", str(tmp_path / "one")]) == 0
    shared = [*WORDS, "--device", "cpu", "--threads", "1", "--out", str(tmp_path / "two"), "--launch", "local"]
    assert main([*shared, "--jobs", "2"]) == 0
    one, two = (sorted(path.name for path in (tmp_path / name).glob("*.safetensors")) for name in ("one", "two"))
    assert one == two == ["taming-mini-inverse.safetensors", "var-mini-inverse.safetensors"]
    for name in one:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert not (tmp_path / "two" / "work").exists()


def test_a_generator_that_nobody_knows_is_said_before_any_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", "--generator", "var-mini,nobody", "--out", str(tmp_path / "out")]) == 2
    assert "nobody" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
