"""The parser of the command line: a mistake is one line, with the nearest name that is known."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NoReturn

from iarbench.errors import UserError
from iarbench.registry import near
from iarbench.text_table import wrapped


class Help(argparse.HelpFormatter):
    """Help that fits the terminal: paragraphs are wrapped, indented lines, which are examples, stay lines.

    A remark behind an example (three spaces or more) that has no room there stands below it; a command is never cut,
    so that it can be copied.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        found: list[str] = []
        for indented, lines in groupby(
            text.strip("\n").splitlines(), key=lambda line: line.startswith(" ") or not line
        ):
            if indented:
                found += [one for line in lines for one in _example(line, width)]
            else:
                found += wrapped(" ".join(lines), width - len(indent))
        return "\n".join(indent + line for line in found) + "\n"


_REMARK = re.compile(r"(\s*\S.*?)\s{3,}([^\s-].*)")


def _example(line: str, width: int) -> list[str]:
    remark = _REMARK.fullmatch(line)
    if len(line) <= width or remark is None:
        return [line]
    return [remark[1], *(f"      {one}" for one in wrapped(remark[2], width - 6))]


class Parser(argparse.ArgumentParser):
    """Raises UserError in place of printing its usage and exiting.

    Options are never abbreviated: a script would change its meaning when an option is added.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, "formatter_class": Help, **options})

    def error(self, message: str) -> NoReturn:
        """Raises UserError; ``message`` is argparse's."""
        raise UserError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does. Raises UserError that names the nearest option for one that is unknown."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            used = self._used(found)
            unknown = next((word for word in rest if word.startswith("-") and word != "-"), None)
            if unknown is None:
                used.error(f"{rest[0]!r} is one word too many")
            option = unknown.partition("=")[0]
            used.error(f"unknown option {option}{_hint(option, used.options())}")
        return found

    def options(self) -> list[str]:
        """Every long option that it takes."""
        return [name for action in self._actions for name in action.option_strings if name.startswith("--")]

    def _used(self, found: argparse.Namespace) -> Parser:
        """The parser of the command, and of its action, that was asked for."""
        for action in self._actions:
            chosen = getattr(found, action.dest, None)
            if isinstance(action, argparse._SubParsersAction) and chosen in action.choices:
                return action.choices[chosen]._used(found)
        return self

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        message = f"{value!r} is none of {', '.join(known)}{_hint(str(value), known)}"
        raise argparse.ArgumentError(action, message)


def _hint(given: str, known: Iterable[str]) -> str:
    bare = {name.lstrip("-"): name for name in known}
    word = given.lstrip("-")
    close = [name for key, name in bare.items() if word and key.startswith(word)]
    close = close[:2] or [bare[name] for name in near(word, bare)]
    return f"; did you mean {' or '.join(close)}?" if close else ""
