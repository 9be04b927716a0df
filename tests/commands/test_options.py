from __future__ import annotations

import argparse

import pytest

from iarbench.commands import options


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_compute(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("fp32", "float32"), ("float32", "float32"), ("bf16", "bfloat16"), ("bfloat16", "bfloat16")],
)
def test_both_spellings_of_a_dtype_mean_one(written: str, meant: str) -> None:
    assert options.settings(parse("--dtype", written)).dtype == meant


def test_the_dtype_is_float32_unless_asked() -> None:
    assert options.settings(parse()).dtype == "float32"


def test_another_dtype_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        parse("--dtype", "fp16")
    assert exit.value.code == 2
    assert "'fp16' is not one of float32, fp32, bfloat16, bf16" in capsys.readouterr().err
