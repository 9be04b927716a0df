from __future__ import annotations

import numpy as np
import pytest

from iarbench.stats.area import trapezoid


def test_weights_are_those_of_the_trapezoids() -> None:
    assert trapezoid(np.array([0.0, 1.0])).tolist() == [0.5, 0.5]
    assert trapezoid(np.array([0.0, 10.0, 50.0])) == pytest.approx([0.1, 0.5, 0.4])
    x, y = np.sort(np.random.default_rng(0).random((2, 7)), axis=1)
    assert trapezoid(x) @ y == pytest.approx(np.trapezoid(y, x) / (x[-1] - x[0]))
    assert trapezoid(np.array([0.0, 0.0, 2.0])) == pytest.approx([0.0, 0.5, 0.5])  # two attacks alike
