"""The minis make the same images whatever the batch size, the number of threads and the processor."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache

import pytest
import torch

from iarbench.models import variants
from iarbench.models.loading import load_sampler
from iarbench.models.sample_images import make_records

FAMILIES = ["infinity-mini", "llamagen-mini", "rar-mini", "taming-mini", "var-mini"]
COUNT = 3


def digest(name: str, batch: int = COUNT, threads: int = 1) -> str:
    """Of the images and tokens of the first few images."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        records = make_records(load_sampler(name), name, "m", COUNT, variants.get(name).every_condition, batch=batch)
        lines = [f"{record.sha256} {record.tokens}" for record in records]
    finally:
        torch.set_num_threads(before)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


alone = cache(digest)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "var-mini" else pytest.mark.long) for name in FAMILIES]
)
def test_neither_batch_nor_threads_change_an_image(name: str) -> None:
    assert digest(name, batch=1, threads=2) == alone(name)


@pytest.mark.long
@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="this processor has no second instruction set"
)
def test_the_processor_changes_no_image() -> None:
    program = "from test_sampler import FAMILIES, digest\nprint(*[digest(name) for name in FAMILIES])"
    env = os.environ | {"ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": os.path.dirname(__file__)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [alone(name) for name in FAMILIES]
