"""What attacks left of the images that numbers stand on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from iarbench.results.scores import MEASURES


def left_by_attack(scores: pd.DataFrame, image_ids: Iterable[str]) -> dict[str, float | None]:
    """Median PSNR and SSIM over some of the images that `scores` (as `load_scores` returns them) are of.

    None where no image was measured, or where the attack left more than half of them as they were.
    """
    if not set(MEASURES) <= set(scores.columns):
        return dict.fromkeys(MEASURES)
    found = scores.loc[scores["image_id"].isin(set(image_ids)), list(MEASURES)].dropna()
    medians = {name: float(np.median(found[name])) if len(found) else np.nan for name in MEASURES}
    if not np.isfinite(medians["psnr"]):
        return dict.fromkeys(MEASURES)
    return {name: round(value, 4) for name, value in medians.items()}
