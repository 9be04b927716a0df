"""What each of our detectors costs: seconds an image on one core at every mini, and its peak memory an image.

Each detector is measured in a process of its own, on 16 images as a run scores them on a CPU, after one that is not
counted; one that takes more than `SLOW` seconds an image gets 4. Seconds are processor time, which other processes
disturb least; of `ronan`, whose steps are all alike, 15 of 1,500 are measured. The memory is what the process holds at
its peak beyond what it held before; Linux alone tells it. What a detector declares (`seconds_per_image`,
`mib_per_image`) is the largest over the minis.

    python benchmarks/bench_detectors.py [DETECTOR ...]
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, keep, minis
from torch import Tensor

from iarbench.content import images_path
from iarbench.detector import Detector, apply, fits, what_it_reads
from iarbench.evidence import NO_ENCODER, Evidence, Target
from iarbench.fit_batch import FitBatch
from iarbench.harness.asked import asked_for
from iarbench.harness.choose import choose
from iarbench.harness.plan import Settings
from iarbench.harness.targets import load_targets
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.registry import DETECTORS

SLOW = 1.0
COUNT, FEW = 16, 4  # of four at once consists what descends through a decoder, however few there are
IN_SHORT = {"ronan": ("ronan:steps=15", 100)}  # what is measured in place of a detector, and how often it would fit in
LEARNT_FROM = 20  # of the others a quarter, which is what the gallery of `lida` takes of each


def images(source: str, split: str, count: int) -> tuple[Tensor, tuple[str, ...]]:
    """The first packaged images of a source, float32 (count, 3, H, W) in [0, 1], and what their generator was asked."""
    some = ImageSet.open(images_path("iarbench-mini")).filter(source=source, split=split)
    records = next(some.iterate(count))
    pixels = torch.stack([torch.from_numpy(np.array(record.pil())) for record in records])
    return pixels.permute(0, 3, 1, 2).float() / 255, asked_for(some, [record.image_id for record in records])


def learnt(detector: Detector, target: Target) -> tuple[dict[str, Tensor], float]:
    """What the detector learns of a few images, and the seconds that took; {} and 0 for one that learns nothing."""
    if not fits(type(detector)):
        return {}, 0.0
    sources = dict.fromkeys(minis(), LEARNT_FROM // 4) | {target.name: LEARNT_FROM, "flickr": LEARNT_FROM}
    makers = tuple(name for name, count in sources.items() for _ in range(count))
    each = [images(name, "fit", count) for name, count in sources.items()]
    pictures, conditions = torch.cat([some for some, _ in each]), tuple(one for _, some in each for one in some)
    own, real = (torch.tensor([name == wanted for name in makers]) for wanted in (target.name, "flickr"))
    batch = FitBatch(Evidence(target, pictures, conditions=conditions), own, makers, real)
    began = time.process_time()
    found = detector.fit([batch])
    return found, time.process_time() - began


def measure(name: str, target_name: str) -> dict[str, float]:
    """Seconds and MiB an image of one detector at one mini, in this process."""
    in_short, times = IN_SHORT.get(name, (name, 1))
    choice = choose(in_short)
    reads = what_it_reads(choice.kind)
    detector = choice.make()
    wanted = (
        variants.get(detector.through or target_name),
        NO_ENCODER if "image" in reads else "inverse",
        "transformer" in reads,
    )
    target = load_targets([wanted], Settings(device="cpu"))[wanted[0].name, *wanted[1:]]
    known, learning = learnt(detector, target)
    pictures, conditions = images(target_name, "test", COUNT)

    def seconds(count: int) -> float:
        began = time.process_time()
        apply(detector, Evidence(target, pictures[:count], learnt=known, conditions=conditions[:count]))
        return times * (time.process_time() - began) / count

    count = FEW if seconds(1) > SLOW else COUNT
    ctypes.CDLL(None).malloc_trim(0)  # memory that was freed but is still held would hide what is taken
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what it is now
    before = _mib("VmRSS")
    spent = seconds(count)
    return {"seconds": spent, "mib": max(0.0, _mib("VmHWM") - before) / count, "learning_seconds": learning}


def _mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    """Measure the detectors asked for, or all of ours, and keep the others' numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", nargs="*", default=DETECTORS.builtin())
    parser.add_argument("--one", metavar="DETECTOR", help="measure here, print JSON")
    args = parser.parse_args()
    if args.one:
        torch.set_num_threads(1)
        print(json.dumps({target: measure(args.one, target) for target in minis()}))
        return
    stored = RESULTS / "detectors.json"
    found = json.loads(stored.read_text())["detectors"] if stored.is_file() else {}
    for name in args.detectors:
        found[name] = dict(_of_all(name))
    keep("detectors", {"detectors": {name: found[name] for name in sorted(found) if name in DETECTORS.builtin()}})


def _of_all(name: str) -> Iterator[tuple[str, object]]:
    command = [sys.executable, __file__, "--one", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    by_target = json.loads(done.stdout.splitlines()[-1])
    yield "seconds", {target: _short(one["seconds"]) for target, one in by_target.items()}
    yield "seconds_per_image", _short(max(one["seconds"] for one in by_target.values()))
    yield "mib_per_image", _short(max(one["mib"] for one in by_target.values()))
    if any(one["learning_seconds"] for one in by_target.values()):
        yield "learning_seconds_of_65_images", _short(max(one["learning_seconds"] for one in by_target.values()))


def _short(number: float) -> float:
    return float(f"{number:.2g}")


if __name__ == "__main__":
    main()
