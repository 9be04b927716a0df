"""Seconds an image that each detector takes on the full-size tokenizers, on one core: what `--dry-run` estimates from.

    python benchmarks/bench_full_size_cpu.py [--variant NAME ...]

Weights and the image are random: neither changes the work. One image, float32, one thread, each detector by itself.
"""

from __future__ import annotations

import argparse
import time

import torch
from bench_full_size import random_target
from common import keep

from iarbench.detector import apply
from iarbench.evidence import Evidence
from iarbench.harness.execute import be_exact
from iarbench.registry import DETECTORS

VARIANTS = ("llamagen-xl-384", "rar-xxl", "var-d30", "taming-cin", "infinity-2b")
DETECTORS_TIMED = ("quantloss", "encloss", "combined", "reconstruction")


def seconds(variant: str, detector: str) -> float:
    """Of one image, without a warm-up: the work is long beside it."""
    target = random_target(variant, "cpu")
    size = target.image_size
    image = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)
    start = time.process_time()
    apply(DETECTORS.get(detector)(), Evidence(target, image, precision="float32"))
    return round(time.process_time() - start, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", help=f"default: {', '.join(VARIANTS)}")
    args = parser.parse_args()
    be_exact()
    torch.set_num_threads(1)
    found = {name: {one: seconds(name, one) for one in DETECTORS_TIMED} for name in args.variant or VARIANTS}
    keep("full_size_cpu", {"images": 1, "cpu_seconds_an_image": found})


if __name__ == "__main__":
    main()
