"""Area under a curve of rates over the strength of an attack, scaled so that it is the mean rate over the strengths."""

from __future__ import annotations

import numpy as np

from iarbench.stats.thresholds import FloatArray


def trapezoid(x: FloatArray) -> FloatArray:
    """(S,) weights, sum 1, of the values at ascending positions x (S,), not all the same: the area below straight lines
    between them, over the length of x.

    The same weights make the ends of the values' 95% intervals those of the area: as if all rates were off by the same
    luck. The same images and mostly the same threshold stand behind all of them, so that is nearly so, and errs to the
    safe side where it is not. Resampled areas know more of how rates go together, and hold less: their percentiles
    cover less than 90% where tails are heavy. Coverage: benchmarks/coverage_of_ranks.py.
    """
    steps = np.diff(x)
    return np.asarray((np.append(steps, 0.0) + np.insert(steps, 0, 0.0)) / (2 * steps.sum()))
