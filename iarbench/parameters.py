"""Names with parameters, as detectors and attacks have them: "ronan:lr=0.1,steps=200", "./mine.py:Mine:steps=3"."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin

from iarbench.errors import UserError
from iarbench.registry import did_you_mean

Value = bool | int | float | str

_NUMBER = re.compile(r"-?(\d{1,20}\.?\d{0,20}|\.\d{1,20})([eE]-?\d{1,3})?", re.ASCII)
# Commas, colons and "+" separate parameters, names and the steps of a chain.
_WORD = re.compile(r"[^\s,:+=]+")
_SWITCH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a parameter may be: a ``kind`` out of bool, int, float and str, or one of ``choices``."""

    name: str
    kind: type
    choices: tuple[Value, ...] = ()
    default: Value | None = None
    """None: it has to be given."""


def split_names(text: str) -> list[str]:
    """The names in a comma-separated list, their parameters with them: "a:x=1,y=2,b" is "a:x=1,y=2" and "b".

    A piece with "=" and no ":" belongs to the name before it.
    """
    names: list[str] = []
    for piece in filter(None, map(str.strip, text.split(","))):
        if names and "=" in piece and ":" not in piece:
            names[-1] += f",{piece}"
        else:
            names.append(piece)
    return names


def split_parameters(text: str) -> tuple[str, dict[str, str]]:
    """A name and its parameters as they were written: "./mine.py:Mine:steps=3" is "./mine.py:Mine" and {steps: 3}.

    Raises:
        UserError: a parameter without "=", or twice the same one.
    """
    name, colon, rest = text.rpartition(":")
    if not colon or "=" not in rest:
        return text, {}
    given: dict[str, str] = {}
    for piece in rest.split(","):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not (key and equals and value):
            raise UserError(f"{text}: {piece.strip()!r} is not a parameter; write NAME:PARAMETER=VALUE,PARAMETER=VALUE")
        if key in given:
            raise UserError(f"{text}: the parameter {key!r} is given twice")
        given[key] = value
    return name.strip(), given


def declared_by(make: Callable[..., Any], owner: str) -> dict[str, Parameter]:
    """The parameters that a class or function takes, by its annotations, in their order.

    Args:
        owner: what errors call it ("attack 'resize'").

    Raises:
        UserError: an argument is not annotated as bool, int, float, str or Literal.
    """
    try:
        arguments = inspect.signature(make, eval_str=True).parameters.values()
    except NameError as error:
        raise UserError(f"{owner}: the annotations of its parameters cannot be read ({error})") from None
    return {argument.name: _declared(argument, owner) for argument in arguments}


def typed(declared: Mapping[str, Parameter], given: Mapping[str, str], owner: str) -> dict[str, Value]:
    """The values of the parameters given, in the order declared.

    Raises:
        UserError: a parameter that is unknown, missing or of another type.
    """
    for name in given:
        if name not in declared:
            raise UserError(f"{owner}: {did_you_mean('parameter', name, declared)}")
    for parameter in declared.values():
        if parameter.default is None and parameter.name not in given:
            raise UserError(f"{owner}: the parameter {parameter.name!r} is missing")
    return {name: value_of(declared[name], given[name], owner) for name in declared if name in given}


def value_of(parameter: Parameter, text: str, owner: str) -> Value:
    """The value that ``text`` stands for.

    Raises:
        UserError: it is not one that the parameter may have.
    """
    if parameter.choices:
        for choice in parameter.choices:
            if as_text(choice) == text:
                return choice
        raise _not_a_value(parameter, text, owner)
    if parameter.kind is bool and text.lower() in _SWITCH:
        return _SWITCH[text.lower()]
    if parameter.kind is str and _WORD.fullmatch(text):
        return text
    if parameter.kind in (int, float) and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        number = Decimal(text)
        if parameter.kind is float:
            return float(text) + 0.0  # -0 is 0
        if number == int(number):
            return int(number)
    raise _not_a_value(parameter, text, owner)


def require_value(parameter: Parameter, value: object, owner: str) -> None:
    """Check a value given in Python.

    Raises:
        UserError: it is not one that the parameter may have.
    """
    if isinstance(value, bool | int | float | str):
        value_of(parameter, as_text(value), owner)
    else:
        raise _not_a_value(parameter, value, owner)


def as_text(value: Value) -> str:
    """The one way in which a value is written: true and false, numbers in their shortest form ("0.1", "200")."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    shortest = Decimal(repr(value)).normalize()
    if value and not 1e-9 < abs(value) < 1e16:
        return str(shortest).replace("E+", "e").replace("E", "e")
    return format(shortest, "f")


def listed(values: Mapping[str, Value]) -> str:
    """Parameters as a name carries them: "lr=0.1,steps=200"."""
    return ",".join(f"{name}={as_text(value)}" for name, value in values.items())


_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a word without , : + = or spaces"}


def _not_a_value(parameter: Parameter, value: object, owner: str) -> UserError:
    allowed = f"choose one of {', '.join(map(as_text, parameter.choices))}"
    return UserError(
        f"{owner}: {parameter.name} is {value!r}; "
        f"{allowed if parameter.choices else f'it must be {_EXPECTED[parameter.kind]}'}"
    )


def _declared(argument: inspect.Parameter, owner: str) -> Parameter:
    hint, default = argument.annotation, argument.default
    default = None if default is argument.empty else default
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return Parameter(argument.name, type(choices[0]), choices, default)
    if hint not in _EXPECTED or argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
        raise UserError(
            f"{owner}: the parameter {argument.name!r} must be annotated as one of {_types(_EXPECTED)} or Literal"
        )
    return Parameter(argument.name, hint, (), default)


def _types(kinds: Iterable[type]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)
