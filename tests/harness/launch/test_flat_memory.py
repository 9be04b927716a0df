"""Twenty thousand images, made and attacked, take the memory of one thousand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_sixth_family import NAME, folder

from iarbench.images.image_set import ImageSet

__all__ = ["folder"]  # a fixture

PEAK = """
import resource, sys
from iarbench.cli import main
status = main()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.exit(status)
"""


def peak_mib(*words: object) -> int:
    """The largest memory of a command."""
    command = [sys.executable, "-c", PEAK, *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout.splitlines()[-1])


@pytest.mark.long
def test_twenty_thousand_images_take_the_memory_of_one_thousand(folder: Path, tmp_path: Path) -> None:
    made = {count: tmp_path / f"made-{count}" for count in (1_000, 20_000)}
    generating = [peak_mib("generate", "--generator", NAME, "--count", n, "--out", out) for n, out in made.items()]
    attacking = [
        peak_mib("attack", "--images", out, "--attack", "jpeg50", "--out", tmp_path / f"attacked-{n}")
        for n, out in made.items()
    ]
    assert len(ImageSet.open(tmp_path / "attacked-20000")) == 20_000
    counts = ImageSet.open(made[20_000]).index()["condition"].value_counts()
    assert counts.max() - counts.min() <= 1
    # the small columns of a set are held, some hundred bytes per image
    assert generating[1] < generating[0] + 60
    assert attacking[1] < attacking[0] + 60
