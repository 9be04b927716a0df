"""The command of a run as others can give it: without what is only on the machine that it ran on."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath, PureWindowsPath


def repeatable(command: str) -> str:
    """A run's command, or its call in Python, without the runs to reuse, whose scores it computes just the same, and
    with an absolute folder to write to replaced by one below runs/."""
    if command.startswith("iarbench.run("):
        return _call(command)
    return shlex.join(_words(iter(shlex.split(command))))


def _words(words: Iterator[str]) -> Iterable[str]:
    for word in words:
        option, equals, value = word.partition("=")
        if option not in {"--reuse", "--out"}:
            yield word
            continue
        value = value if equals else next(words, "")
        if option == "--out":
            yield from (option, _below_runs(value))


def _call(written: str) -> str:
    call = ast.parse(written, mode="eval").body
    assert isinstance(call, ast.Call)
    call.keywords = [one for one in call.keywords if one.arg != "reuse"]
    for one in call.keywords:
        if one.arg == "out" and isinstance(one.value, ast.Constant):
            one.value = ast.Constant(_below_runs(str(one.value.value)))
    return ast.unparse(call)


def _below_runs(folder: str) -> str:
    path = (PureWindowsPath if "\\" in folder else PurePosixPath)(folder)
    return f"runs/{path.name}" if path.is_absolute() else folder
