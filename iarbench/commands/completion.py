"""Completion in the shell, by argcomplete: commands, options, and the names that `iarbench ls` knows.

``eval "$(register-python-argcomplete iarbench)"`` turns it on in bash and zsh.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from iarbench.extras import optional


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell, which asks what may come next, and exit. Raises UserError without argcomplete."""
    argcomplete = optional("argcomplete", "completion in the shell")
    for action in _actions(parser):
        if (names := NAMES.get(action.dest)) is not None and action.choices is None:
            action.completer = _completer(names)  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _completer(names: Callable[[], Iterable[str]]) -> Callable[..., list[str]]:
    """The names that the last word of ``a,b,c`` may become."""

    def found(prefix: str, **_: Any) -> list[str]:
        before, comma, _word = prefix.rpartition(",")
        return [before + comma + name for name in names()]

    return found


def _generators() -> Iterable[str]:
    from iarbench.models import variants

    return variants.names()


def _encoders() -> Iterable[str]:
    from iarbench.models import variants

    return variants.encoder_names()


def _detectors() -> Iterable[str]:
    from iarbench.registry import DETECTORS

    return ["all", *DETECTORS.names()]


def _attacks() -> Iterable[str]:
    from iarbench.registry import ATTACKS

    return ATTACKS.names()


def _tasks() -> Iterable[str]:
    from iarbench.content import task_names

    return task_names()


NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "target": _generators,
    "generator": _generators,
    "like": _generators,
    "encoder": _encoders,
    "detector": _detectors,
    "attack": _attacks,
    "task": _tasks,
}
"""Option -> the names that it takes."""


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
        else:
            yield action
