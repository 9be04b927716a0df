from __future__ import annotations

import argparse

import pytest

from iarbench.commands import options
from iarbench.commands.parsing import Parser
from iarbench.errors import UserError


def parse(*words: str) -> argparse.Namespace:
    parser = Parser()
    options.add_compute(parser)
    return parser.parse_args(words)


def test_the_precision_is_float32_unless_asked() -> None:
    assert options.settings(parse()).precision == "float32"
    assert options.settings(parse("--precision", "bfloat16")).precision == "bfloat16"


def test_another_precision_is_one_line() -> None:
    with pytest.raises(UserError, match="--precision: 'fp16' is none of float32, bfloat16"):
        parse("--precision", "fp16")
