"""QuantLoss alone, and all four detectors on shared passes, against evaluating each detector on its own."""

from __future__ import annotations

import time

import torch
from common import keep

from iarbench.detector import Evidence, apply
from iarbench.loading import load_target
from iarbench.registry import DETECTORS

NAMES = ("quantloss", "encloss", "combined", "reconstruction")
BATCH, ROUNDS = 64, 5


def images_per_second(groups: list[tuple[str, ...]]) -> float:
    """Median speed when each group of detectors gets evidence of its own."""
    target = load_target("llamagen-mini", "inverse")
    target.tokenizer.to(memory_format=torch.channels_last)
    images = torch.rand(BATCH, 64, 64, 3, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)
    detectors = {name: DETECTORS.get(name)() for name in NAMES}
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for group in groups:
            evidence = Evidence(target, images)
            for name in group:
                apply(detectors[name], evidence)
        times.append(time.perf_counter() - start)
    return BATCH / sorted(times)[ROUNDS // 2]


def main() -> None:
    alone, shared = images_per_second([("quantloss",)]), images_per_second([NAMES])
    separate = images_per_second([(name,) for name in NAMES])
    keep(
        "signals",
        {
            "target": "llamagen-mini/inverse",
            "quantloss_images_per_second": round(alone, 1),
            "four_shared_images_per_second": round(shared, 1),
            "four_separate_images_per_second": round(separate, 1),
            "ratio_quantloss_to_four_separate": round(alone / separate, 2),
            "ratio_four_shared_to_four_separate": round(shared / separate, 2),
        },
    )


if __name__ == "__main__":
    main()
