from __future__ import annotations

import argparse

import pytest

from iarbench.commands import options


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_compute(parser)
    return parser.parse_args(words)


def test_the_precision_is_float32_unless_asked() -> None:
    assert options.settings(parse()).precision == "float32"
    assert options.settings(parse("--precision", "bfloat16")).precision == "bfloat16"


def test_another_precision_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        parse("--precision", "fp16")
    assert exit.value.code == 2
    assert "invalid choice: 'fp16' (choose from" in capsys.readouterr().err
