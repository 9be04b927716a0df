"""A whole toy benchmark in a folder: generators with weights, an image set and a task; for tests of the harness."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from iarbench.cli import main
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.results.rows import read_rows
from iarbench.results.scores import load_scores
from iarbench.results.seal import parts_of
from iarbench.testing import toy_records, write_toy_family

OFFSETS = {"toy-a": 0, "toy-b": 25}

TASK = """\
name: toys
version: 1
targets: [toy-a, toy-b]
images: {images}
real: [noise]
attacks: [none, jpeg50]
detectors: [quantloss, combined]
encoders: [original, inverse]
fpr: [0.05]
"""

MAIN = """
import sys
from iarbench.cli import main
status = main()
print("heavy modules:", *sorted({"torch", "datasets"} & set(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


@dataclass(frozen=True)
class Toys:
    """Paths of the toy benchmark, and its command line in a process of its own."""

    root: Path

    @property
    def family(self) -> Path:
        return self.root / "family"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def task(self) -> Path:
        return self.root / "toys.yaml"

    def popen(self, *args: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", MAIN, *map(str, args)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "IARBENCH_GENERATORS": str(self.family)}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=self.root)

    def iarbench(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        with self.popen(*args) as process:
            out, err = process.communicate(timeout=300)
            return subprocess.CompletedProcess(args, process.returncode, out, err)


def records(count: int = 25) -> Iterator[ImageRecord]:
    """`count` images of every source and split, all different."""
    for number, (source, offset) in enumerate([*OFFSETS.items(), ("noise", None)]):
        for place, split in enumerate(("test", "calibration")):
            yield from toy_records(count, source, split, seed=10 * number + place, offset=offset)


def write_with_fit(folder: Path, changed: str | None = None) -> Path:
    """The images with eleven of every source in a split `fit`; `changed`: a split whose images swap their ids."""
    images = [
        replace(one, split="fit") if one.split == "test" and one.image_id[-2:] < "11" else one for one in records()
    ]
    if changed is not None:
        places = [place for place, one in enumerate(images) if one.split == changed]
        contents = [images[place] for place in reversed(places)]
        for place, other in zip(places, contents, strict=True):
            images[place] = replace(images[place], bytes=other.bytes, sha256=other.sha256)
    ImageSet.write(images, folder)
    return folder


def make_toys(root: Path, count: int = 25) -> Toys:
    """Write the benchmark below `root`."""
    toys = Toys(root)
    write_toy_family(toys.family, OFFSETS)
    ImageSet.write(records(count), toys.images)
    toys.task.write_text(TASK.format(images=toys.images))
    return toys


SMOOTH = '''
import numpy as np

def predict(image):
    """Generated images are smoother than photographs."""
    return -np.abs(np.diff(np.asarray(image, dtype=float), axis=0)).mean()
'''
"""A user's file that is a detector: one function, a score an image."""

KEY = ["detector", "score_name", "target", "encoder", "attack", "image_id"]


def scores(root: Path) -> pd.Series:
    """All scores of a finished run, by what they are of."""
    frame = load_scores(root, parts_of(root))
    return frame.set_index(KEY)["score"].sort_index()


def run(toys: Toys, out: Path, *args: str | Path) -> pd.Series:
    words = ["run", "--task", str(toys.task), "--out", str(out), "--quiet", "--device", "cpu", *map(str, args)]
    assert main(words) == 0
    return scores(out)


def auroc(root: Path, **where: str) -> float:
    (row,) = (
        row
        for row in read_rows(root / "results.jsonl")
        if row.metric == "auroc" and all(getattr(row, key) == value for key, value in where.items())
    )
    return row.value
