from __future__ import annotations

from pathlib import Path

import pytest
import torch

from iarbench.cli import main
from iarbench.device import check_device, resolve_device
from iarbench.errors import UserError


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two CUDA devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1"])
def test_a_device_that_is_there(cards: None, name: str) -> None:
    assert resolve_device(name) == name


def test_auto_is_the_gpu_or_the_cpu(cards: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_device("auto") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"


def test_a_card_too_many(cards: None) -> None:
    with pytest.raises(UserError, match=r"--device cuda:2: torch finds 2 CUDA device\(s\) here, the last is cuda:1"):
        check_device("cuda:2")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "mps:0", "cpu:0", "CUDA", "cuda:²"])
def test_what_is_no_device(cards: None, name: str) -> None:
    with pytest.raises(UserError, match="unknown device; choose auto, cpu, cuda, cuda:N or mps"):
        check_device(name)


COMMANDS = {
    "run": "run --out {0}/out",
    "trace": "trace {0}/picture.png",
    "generate": "generate --generator llamagen-mini --count 1 --out {0}/out",
    "train": "train tokenizer --name mine --images {0}/none.parquet --out {0}/out",
    "finetune": "finetune --generator llamagen-mini --out {0}/out",
}


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "gpu"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_checks_it_first(
    no_cards: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, device: str
) -> None:
    assert main([*COMMANDS[command].format(tmp_path).split(), "--device", device]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: --device {device}: ")
    assert list(tmp_path.iterdir()) == []
