"""QuantLoss, and all four detectors, against a straightforward evaluation of the same four.

The straightforward one does what the reference does: three encodes and three decodes an image (quantised
reconstruction; one trip; a second trip), float32, default memory format, images in memory, every pass on all cores.
Ours is the whole pipeline: read, decode, score, write. Each is measured in a process of its own, round by round.

    python benchmarks/bench_signals.py [--images N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch
from common import keep, repeated
from torch import Tensor

from iarbench.detector import mse
from iarbench.detectors.encloss import EPSILON
from iarbench.harness.batches import to_images
from iarbench.harness.execute import decide, execute
from iarbench.harness.load import prepare, slabs
from iarbench.harness.plan import Settings
from iarbench.harness.planning import make_plan
from iarbench.images.image_set import ImageSet
from iarbench.images.preparation import Preparation
from iarbench.models.loading import load_target
from iarbench.task import Task

NAMES = ("quantloss", "encloss", "combined", "reconstruction")
TARGET, ROUNDS = "llamagen-mini", 3


def straightforward(images: ImageSet) -> float:
    """Images a second of the evaluation that shares nothing it need not."""
    ids = tuple(images.index()["image_id"])
    target = load_target(TARGET, "inverse")
    batches = slabs(ids, "none", target.image_size, Preparation())
    pixels = [to_images(prepare(images, slab), "cpu").contiguous() for slab in batches]
    tokenizer = target.tokenizer
    encode, decode = tokenizer.encode, tokenizer.decode

    def evaluate(x: Tensor) -> None:
        f = encode(x)
        f_z = tokenizer.quantize(f).features
        quant = mse(f, f_z)
        mse(decode(f_z), x)
        x_hat = decode(encode(x))
        x_hat_hat = decode(encode(x_hat))
        quant * (mse(x_hat, x) + EPSILON) / (mse(x_hat_hat, x_hat) + EPSILON)

    with torch.no_grad():
        evaluate(pixels[0])
        start = time.perf_counter()
        for batch in pixels:
            evaluate(batch)
    return len(ids) / (time.perf_counter() - start)


def pipeline(images: ImageSet, names: tuple[str, ...]) -> float:
    """Images a second from the Parquet files to the stored scores of the detectors ``names``."""
    task = Task.load("mini").narrowed(targets=[TARGET], encoders=["inverse"], attacks=["none"], detectors=names)
    settings = decide(Settings(device="cpu"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plan = make_plan(task, images, "mini", settings)
        jobs = plan.missing(root)
        scored = sum(len(job.chunk.image_ids) for job in jobs)
        start = time.perf_counter()
        execute(jobs, plan, root, settings, lambda _: None)
        return scored / (time.perf_counter() - start)


MEASURES: dict[str, Callable[[ImageSet], float]] = {
    "straightforward": straightforward,
    "quantloss": lambda images: pipeline(images, ("quantloss",)),
    "four": lambda images: pipeline(images, NAMES),
}


def rounds(count: int) -> Iterator[dict[str, float]]:
    """One speed a measure, ``ROUNDS`` times: shared machines change their speed."""
    for _ in range(ROUNDS):
        yield {
            name: float(
                subprocess.run(
                    [sys.executable, __file__, "--images", str(count), "--measure", name],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for name in MEASURES
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--measure", choices=MEASURES, help="print this one speed alone")
    args = parser.parse_args()
    if args.measure:
        with tempfile.TemporaryDirectory() as folder:
            print(MEASURES[args.measure](repeated(args.images, Path(folder) / "images")))
        return
    found = list(rounds(args.images))
    speeds = {name: [round(one[name], 1) for one in found] for name in MEASURES}
    middle = {name: median(values) for name, values in speeds.items()}
    keep(
        "signals",
        {
            "target": f"{TARGET}/inverse",
            "images": args.images,
            "rounds": ROUNDS,
            **{f"{name}_images_per_second": values for name, values in speeds.items()},
            "ratio_quantloss_to_straightforward": round(middle["quantloss"] / middle["straightforward"], 2),
            "ratio_four_to_straightforward": round(middle["four"] / middle["straightforward"], 2),
        },
    )


if __name__ == "__main__":
    main()
