"""A run folder in memory, small and with known numbers, for the tests of what is derived from scores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from iarbench.results.result_task import ResultTask

GENERATORS = ("alpha-mini", "beta-mini")
SOURCES = (*GENERATORS, "photos")


def task(**changes: object) -> ResultTask:
    fields: dict[str, object] = {"name": "tiny", "version": 3, "targets": GENERATORS, "generators": GENERATORS}
    return ResultTask(**(fields | {"real_sets": {"real": ("photos",)}} | changes))  # type: ignore[arg-type]


def index(size: int = 120) -> pd.DataFrame:
    """`size` images of every source in both splits; four crops of each photograph."""
    rows = [
        (f"{source}/{split}/{number:04d}", f"sha-{source}-{split}-{number}", source, split, number)
        for source in SOURCES
        for split in ("calibration", "test")
        for number in range(size)
    ]
    images = pd.DataFrame(rows, columns=["image_id", "sha256", "source", "split", "number"])
    photographs = images["split"] + (images["number"] // 4).astype(str)
    return images.assign(group=photographs.where(images["source"] == "photos", images["image_id"])).drop(
        columns="number"
    )


def scores(
    images: pd.DataFrame, target: str, attack: str = "none", shift: float = 2.5, seed: int = 0, name: str = "quantloss"
) -> pd.DataFrame:
    """Normal scores, all far below zero, with the target's own images `shift` higher."""
    rng = np.random.default_rng([seed, *target.encode(), *attack.encode()])
    values = rng.normal(-1000, 1, len(images)) + shift * (images["source"] == target).to_numpy()
    return pd.DataFrame(
        {
            "image_id": images["image_id"], "sha256": images["sha256"], "score_name": name, "main_score": name,
            "score": values,
            "seconds": 0.004, "detector": name, "detector_version": 2, "parameters": "",
            "encoder": "original", "target": target, "target_weights": f"weights-of-{target}",
            "precision": "float32", "attack": attack, "attack_version": 1, "tells_siblings": False,
        }
    )  # fmt: skip


def run(images: pd.DataFrame, attacks: tuple[str, ...] = ("none", "jpeg50"), **changes: float) -> pd.DataFrame:
    parts = [scores(images, target, attack, **changes) for target in GENERATORS for attack in attacks]  # type: ignore[arg-type]
    return pd.concat(parts, ignore_index=True)
