"""Commands of the page about publishing are understood."""

from __future__ import annotations

import shlex

import pytest
from doc_pages import commands

from iarbench.cli import parser


@pytest.mark.parametrize("line", commands("docs/publishing.md"))
def test_every_command_is_understood(line: str) -> None:
    assert parser().parse_args(shlex.split(line)[1:]).command
