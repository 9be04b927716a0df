"""What attacks left of the images that numbers stand on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from iarbench.results.scores import MEASURES

Left = dict[str, float | None]
"""Measure -> its median over images."""


def left_by_attack(scores: pd.DataFrame, image_ids: Iterable[str]) -> Left:
    """Median PSNR and SSIM over some of the images that `scores` (as `load_scores` returns them) are of.

    None where no image was measured, or where the attack left more than half of them as they were.
    """
    if not set(MEASURES) <= set(scores.columns):
        return left({})
    found = scores.loc[scores["image_id"].isin(set(image_ids)), list(MEASURES)]
    return left({name: found[name].to_numpy() for name in MEASURES})


def left(measured: Mapping[str, npt.NDArray[np.float64]]) -> Left:
    """The same from the measures (n,) of the images, NaN where one was not measured."""
    if not set(MEASURES) <= set(measured):
        return dict.fromkeys(MEASURES)
    there = ~np.any([np.isnan(measured[name]) for name in MEASURES], axis=0)
    medians = {name: float(np.median(measured[name][there])) if there.any() else np.nan for name in MEASURES}
    if not np.isfinite(medians["psnr"]):
        return dict.fromkeys(MEASURES)
    return {name: round(value, 4) for name, value in medians.items()}
