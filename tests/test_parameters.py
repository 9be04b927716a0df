"""Names with parameters: what is one name, what is its value, and every mistake in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from iarbench.errors import UserError
from iarbench.parameters import (
    Parameter,
    Value,
    as_text,
    declared_by,
    listed,
    split_names,
    split_parameters,
    typed,
)


@dataclass(frozen=True)
class Kind:
    size: int
    rate: float = 0.1
    soft: bool = False
    filter: Literal["bicubic", "lanczos"] = "bicubic"
    word: str = "a"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ,, ", ["a", "b"]),
        ("", []),
        ("quantloss,ronan:steps=2,lr=.1,encloss", ["quantloss", "ronan:steps=2,lr=.1", "encloss"]),
        ("a:x=1, y=2 ,b:x=3", ["a:x=1,y=2", "b:x=3"]),
        ("./mine.py:Mine:steps=3,lr=1,./other.py:Other", ["./mine.py:Mine:steps=3,lr=1", "./other.py:Other"]),
        ("jpeg50+resize:scale=0.5,filter=lanczos,none", ["jpeg50+resize:scale=0.5,filter=lanczos", "none"]),
        ("x=1,a", ["x=1", "a"]),
    ],
)
def test_a_piece_with_an_equals_sign_belongs_to_the_name_before_it(text: str, names: list[str]) -> None:
    assert split_names(text) == names


@pytest.mark.parametrize(
    ("text", "name", "given"),
    [
        ("ronan", "ronan", {}),
        ("ronan:steps=2, lr = .1", "ronan", {"steps": "2", "lr": ".1"}),
        ("./mine.py:Mine", "./mine.py:Mine", {}),
        ("./mine.py:Mine:steps=3", "./mine.py:Mine", {"steps": "3"}),
        ("a:x=b=c", "a", {"x": "b=c"}),
    ],
)
def test_a_name_and_its_parameters(text: str, name: str, given: dict[str, str]) -> None:
    assert split_parameters(text) == (name, given)


@pytest.mark.parametrize("text", ["a:x=1,x=2", "a:x=", "a:=1", "a:x=1,y", "a:x=1,"])
def test_what_is_no_parameter_is_named(text: str) -> None:
    with pytest.raises(UserError, match=r"is not a parameter; write NAME:|is given twice"):
        split_parameters(text)


def test_annotations_say_what_is_allowed() -> None:
    assert list(declared_by(Kind, "it").values()) == [
        Parameter("size", int),
        Parameter("rate", float, (), 0.1),
        Parameter("soft", bool, (), False),
        Parameter("filter", str, ("bicubic", "lanczos"), "bicubic"),
        Parameter("word", str, (), "a"),
    ]

    def loose(anything, **rest: int) -> None: ...  # type: ignore[no-untyped-def]

    with pytest.raises(UserError, match=r"detector 'x': the parameter .anything. must be annotated as one of bool"):
        declared_by(loose, "detector 'x'")


def test_values_have_their_types_and_the_declared_order() -> None:
    given = {"filter": "lanczos", "soft": "True", "size": "3.0", "rate": "1e-3"}
    values = typed(declared_by(Kind, "it"), given, "it")
    assert list(values.items()) == [("size", 3), ("rate", 0.001), ("soft", True), ("filter", "lanczos")]
    assert [type(value) for value in values.values()] == [int, float, bool, str]
    assert listed(values) == "size=3,rate=0.001,soft=true,filter=lanczos"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sise": "3"}, "it: unknown parameter 'sise': did you mean 'size'? known: filter, rate, size, soft, word"),
        ({}, "it: the parameter 'size' is missing"),
        ({"size": "2.5"}, "it: size is '2.5'; it must be a whole number"),
        ({"size": "9" * 5000}, "it must be a whole number"),
        ({"size": "1e400"}, "it must be a whole number"),
        ({"size": "3", "rate": "nan"}, "it: rate is 'nan'; it must be a number"),
        ({"size": "3", "rate": "inf"}, "it must be a number"),
        ({"size": "3", "rate": "1e999"}, "it must be a number"),
        ({"size": "3", "rate": "1_0"}, "it must be a number"),
        ({"size": "3", "soft": "1"}, "it: soft is '1'; it must be true or false"),
        ({"size": "3", "filter": "box"}, "it: filter is 'box'; choose one of bicubic, lanczos"),
        ({"size": "3", "word": "a b"}, "it: word is 'a b'; it must be a word without , : + = or spaces"),
    ],
)
def test_every_mistake_is_one_line(given: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        typed(declared_by(Kind, "it"), given, "it")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (200, "200"), (200.0, "200"), (0.1, "0.1"), (1e-5, "0.00001"), (1e300, "1e300"), (1e-30, "1e-30")],
)
def test_a_value_is_written_in_one_way(value: Value, text: str) -> None:
    assert as_text(value) == text
