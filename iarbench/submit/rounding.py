"""Numbers that are the same but for rounding.

The ends of exact intervals come out of the inverse of the incomplete beta function, whose last digits depend on the
processor and on the library: two makes of processor differ in up to 7e-14 of a number.
"""

from __future__ import annotations

import math
from typing import Any

SMALLEST = 1e-9
"""Fraction of a number by which another one differs from it for other reasons than rounding."""


def same(one: Any, other: Any) -> bool:
    """Whether two values of a row agree: floats but for rounding, all else exactly, lists and objects item by item."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=SMALLEST, abs_tol=1e-12)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
