"""Notes in a terminal are wrapped between words; elsewhere a note is a line."""

from __future__ import annotations

import io
import os
import sys

import pytest

from iarbench.commands import options

NOTE = "warning: sharpness alone separates llamagen-mini from flickr"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_notes_are_wrapped_in_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.shutil, "get_terminal_size", lambda: os.terminal_size((30, 24)))
    for stream, lines in (
        (io.StringIO(), [NOTE]),
        (Terminal(), ["warning: sharpness alone", "separates llamagen-mini from", "flickr"]),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        options.say(NOTE)
        options.say(NOTE, quiet=True)
        assert stream.getvalue().splitlines() == lines
