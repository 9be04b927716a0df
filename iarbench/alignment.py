"""The parameter `align`, which any detector that reads a tokenizer takes: `quantloss:align=phase`."""

from __future__ import annotations

from typing import Literal, get_args

from iarbench.errors import UserError
from iarbench.parameters import split_parameters

Align = Literal["phase", "phase-scale"]
ALIGNS: tuple[Align, ...] = get_args(Align)
ALIGN = "align"
ALIGN_VERSION = 1
"""Raise it when an aligned score could change."""


def with_align(detector: str, align: str) -> str:
    """The name of a detector, with the parameter."""
    if detector == "all":
        raise UserError("--align needs detectors by name: 'all' holds some that read no tokenizer")
    _, given = split_parameters(detector)
    return f"{detector}{',' if given else ':'}{ALIGN}={align}"


def align_of(value: str, owner: str) -> Align:
    """What a value of the parameter says. Raises UserError naming the detector, `owner`."""
    for one in ALIGNS:
        if one == value:
            return one
    raise UserError(f"{owner}: {ALIGN} is {value!r}; choose one of {', '.join(ALIGNS)}")
