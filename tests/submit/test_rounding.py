from __future__ import annotations

import pytest

from iarbench.submit.rounding import same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.014647188635680368, 0.014647188635680371),  # an end of a Clopper-Pearson interval, by two makes of processor
        (0.0, 0.0), (0.0, 1e-13), (5, 5), ("a", "a"), (None, None), ((0.5, None), [0.5 + 1e-12, None]),
        ({"a": [0.1]}, {"a": [0.1 - 1e-15]}),
    ],
)  # fmt: skip
def test_rounding_is_no_difference(one: object, other: object) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.5, 0.5 + 1e-8), (0.0, 1e-9), (0.5, None), (1.0, "1.0"), (10**12, 10**12 + 1), ([0.5], [0.5, 0.5]),
        ({"a": 0.5}, {"b": 0.5}), ((0.1, 0.2), (0.1, 0.3)), (0.5, float("nan")),
    ],
)  # fmt: skip
def test_all_else_is(one: object, other: object) -> None:
    assert not same(one, other)
    assert not same(other, one)
