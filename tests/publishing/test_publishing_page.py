"""Commands of the page about publishing are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from iarbench.cli import parser

PAGE = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("iarbench ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_understood(line: str) -> None:
    assert parser().parse_args(shlex.split(line)[1:]).command
