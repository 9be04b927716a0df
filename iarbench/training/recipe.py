"""The numbers of a training, from where they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from iarbench.errors import UserError

R = TypeVar("R")


def make_recipe(kind: type[R], own: Mapping[str, Any], **given: Any) -> R:
    """The recipe of a generator's description, ``own``, with the numbers ``given`` (None: not) in place of its own.

    Raises:
        UserError: the description has a number that such a recipe lacks.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(own) - known):
        raise UserError(
            f"training: {unknown[0]!r} is no number of a {kind.__name__}; it has: {', '.join(sorted(known))}"
        )
    return kind(**{**own, **{key: value for key, value in given.items() if value is not None}})
