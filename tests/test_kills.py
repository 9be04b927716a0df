"""kill -9 at random moments of every command that writes: repeated, it gives the same, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from toys import Toys, scores

from iarbench.images.image_set import ImageSet

PICTURES = Path(__file__).parent / "bugs" / "training_labels" / "text.parquet"
KILLS = 5
"""Of each of the commands."""


def images(out: Path) -> list:
    """Ids, bytes and all columns."""
    return [record for batch in ImageSet.open(out).iterate() for record in batch]


def weights(out: Path) -> dict[str, list]:
    return {
        path.name: [(name, value.tobytes()) for name, value in sorted(load_file(path).items())]
        for path in sorted(out.glob("*.safetensors"))
    }


def table(out: Path) -> list:
    found = scores(out)
    return list(zip(found.index, found.tolist(), strict=True))


COMMANDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "run": ("run --task TASK --device cpu --quiet --attack none,jpeg50 --detector quantloss --out OUT", table),
    "generate": ("generate --generator taming-mini --count 6 --shard 2 --batch-size 2 --out OUT", images),
    "attack": ("attack --images IMAGES --attack noise0.05 --out OUT", images),
    "import": ("images import PICTURES --size 32 --out OUT", images),
    "launched import": ("images import PICTURES --size 32 --shard 7 --launch local --jobs 2 --out OUT", images),
    "train": (
        "train tokenizer --like var-mini --name m --images LABELLED --steps 3 --adversarial-steps 1 --batch-size 4 "
        "--out OUT",
        weights,
    ),
    "finetune": (
        "finetune --generator taming-mini --tokens-of LABELLED --epochs 2 --batch-size 4 --out OUT",
        weights,
    ),
}
SETS = {"generate", "attack", "import", "launched import"}
"""Commands that make an image set."""


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_ends_as_an_undisturbed_one(name: str, toy_family: Toys, tmp_path: Path) -> None:
    line, content = COMMANDS[name]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, record in enumerate(images(toy_family.images)[:60]):
        (pictures / f"{number:03}.png").write_bytes(record.bytes)
    places = {"TASK": toy_family.task, "IMAGES": toy_family.images, "PICTURES": pictures, "LABELLED": PICTURES}

    def begin(out: Path) -> subprocess.Popen[bytes]:
        words = [str({**places, "OUT": out}.get(word, word)) for word in line.split()]
        told = {**os.environ, "OMP_NUM_THREADS": "1", "IARBENCH_GENERATORS": str(toy_family.family)}
        quiet = subprocess.DEVNULL
        return subprocess.Popen([sys.executable, "-m", "iarbench", *words], env=told, stdout=quiet, stderr=quiet)

    began = time.monotonic()
    assert begin(tmp_path / "quiet" / "out").wait(900) == 0
    lasted = time.monotonic() - began
    right = content(tmp_path / "quiet" / "out")
    assert right
    chance = random.Random(name)
    for number in range(KILLS):
        out = tmp_path / f"killed-{number}" / "out"
        process = begin(out)
        try:
            process.wait(chance.uniform(0.3, 1.0) * lasted)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        if not (name in SETS and out.exists()):  # a set that has its name is whole, and never written again
            assert begin(out).wait(900) == 0
        assert content(out) == right
        assert not list(out.parent.rglob("*.tmp"))
        assert [path.name for path in out.parent.iterdir()] == ["out"]
