"""A few rows that stand for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(rows: Sequence[T], at_most: int) -> Sequence[T]:
    """At most so many rows, spread over all of them: the first ones may all come from one corner of a set."""
    return rows[:: max(1, len(rows) // at_most)][:at_most]
