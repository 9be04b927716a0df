"""Do the two answers about a folder hold? Simulated scores, drawn anew with their calibration in every repetition.

Calibration as large as the packaged one: 602 photographs, 400 images of each of four other generators, 250 members.
`apart`: members lie 4.5 standard deviations above photographs, and the folder's other images come from all sets alike;
`close`: 2.5 above, and the folder's other images are all of the generator whose images score highest.

    python benchmarks/bench_set_level.py [--repetitions N]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from common import keep

from iarbench.stats.intervals import seed_of
from iarbench.stats.set_level import SetVerdict, judge

SETS = {"photographs": (602, 0.0), "a": (400, -0.5), "b": (400, 0.0), "c": (400, 0.2), "hardest": (400, 0.5)}
MEMBERS = 250
CASES: dict[str, tuple[float, tuple[str, ...]]] = {"apart": (4.5, tuple(SETS)), "close": (2.5, ("hardest",))}
SIZES, SHARES = (20, 100, 500), (0.0, 0.01, 0.1, 0.5)


def one(rng: np.random.Generator, case: str, n: int, members: int) -> SetVerdict:
    """The answer for a folder of `n` images, `members` of them the target's, in a random order."""
    above, others = CASES[case]
    known = [rng.normal(mean, 1, size) for size, mean in SETS.values()]
    means = rng.choice([SETS[name][1] for name in others], n - members)
    scores = rng.permutation(np.concatenate([rng.normal(above, 1, members), rng.normal(means)]))
    return judge(scores, [rng.normal(above, 1, MEMBERS)], known)


def cell(case: str, n: int, share: float, repetitions: int) -> dict[str, Any]:
    """How often the interval holds the share, and how often the evidence passes 20, that is 1/0.05."""
    rng = np.random.default_rng(seed_of(case, n, share))
    members = round(n * share)
    found = [one(rng, case, n, members) for _ in range(repetitions)]
    true, tolerance = members / n, 1e-12
    shares = [v.share for v in found if v.share is not None]
    if len(shares) != len(found):
        raise AssertionError("a set of this size has a share")
    held = [s.low - tolerance <= true <= s.high + tolerance for s in shares]
    return {
        "case": case,
        "images": n,
        "members": members,
        "coverage": float(np.mean(held)),
        "below_low_end": float(np.mean([true < s.low - tolerance for s in shares])),
        "above_high_end": float(np.mean([true > s.high + tolerance for s in shares])),
        "mean_estimate": float(np.mean([s.value for s in shares if s.value is not None])),
        "mean_width": float(np.mean([s.high - s.low for s in shares])),
        "e_value_over_20_at_the_end": float(np.mean([v.log10_e >= np.log10(20) for v in found])),
        "e_value_over_20_at_any_time": float(np.mean([v.p_anytime <= 0.05 for v in found])),
        "median_log10_e": float(np.median([v.log10_e for v in found])),
    }


def main() -> None:
    """Simulate every cell and store them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    args = parser.parse_args()
    cells = [cell(case, n, share, args.repetitions) for case in CASES for n in SIZES for share in SHARES]
    keep("set_level", {"repetitions": args.repetitions, "cells": cells})


if __name__ == "__main__":
    main()
