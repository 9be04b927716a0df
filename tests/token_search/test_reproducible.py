"""A score is the same on one machine whatever is run how, and nearly the same where features are rounded otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from iarbench.cli import main
from iarbench.content import images_path
from iarbench.harness.batches import to_images
from iarbench.images.image_set import ImageSet
from iarbench.models.loading import load_tokenizer
from iarbench.models.variants import get
from iarbench.nn.threads import one_thread
from iarbench.task import Task
from iarbench.tokenizer import Tokenizer

TARGET, COUNT = "var-mini", 32
MOVED = 1e-4
"""Relative change from which on a score has moved."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(get(TARGET), "inverse")


def features(tokenizer: Tokenizer) -> Tensor:
    """Of own images and of photographs, as many of each."""
    images = ImageSet.open(images_path("iarbench-mini"))
    pixels = []
    for source in (TARGET, Task.load("mini").spec.real[0]):
        records = next(images.filter(source=source, split="test").iterate(batch_size=COUNT))
        pixels += [np.array(record.pil()) for record in records]
    with torch.no_grad(), one_thread():
        return torch.cat([tokenizer.encode(to_images(np.stack(part), "cpu")) for part in np.split(np.array(pixels), 4)])


@pytest.fixture(scope="module")
def f(tokenizer: Tokenizer) -> Tensor:
    return features(tokenizer)


def scores(tokenizer: Tokenizer, f: Tensor) -> np.ndarray:
    return (tokenizer.search(f, "ep").features - f).double().square().flatten(1).mean(1).numpy()


def require_alike(before: np.ndarray, after: np.ndarray, moved: float) -> None:
    assert (np.abs(after - before) > MOVED * before).mean() <= moved
    ranks = [float((s[:COUNT, None] < s[COUNT:]).mean()) for s in (before, after)]  # AUROC
    assert abs(ranks[0] - ranks[1]) <= 0.002


@pytest.mark.parametrize(("push", "moved"), [(1e-7, 0.05), (1e-6, 0.1), (1e-5, 0.2)])
def test_features_that_differ_in_their_last_digits_move_few_scores(
    tokenizer: Tokenizer, f: Tensor, push: float, moved: float
) -> None:
    noise = torch.randn(f.shape, generator=torch.Generator().manual_seed(1))
    require_alike(scores(tokenizer, f), scores(tokenizer, f * (1 + push * noise)), moved)


def test_batches_and_threads_change_nothing(tokenizer: Tokenizer, f: Tensor) -> None:
    with one_thread():
        together = tokenizer.search(f, "ep")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = [tokenizer.search(f[i : i + 1], "ep") for i in range(0, len(f), 8)]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.cat([one.tokens for one in alone]), together.tokens[::8])
    assert torch.equal(torch.cat([one.features for one in alone]), together.features[::8])


@pytest.mark.long
def test_other_instructions_move_few_scores(tokenizer: Tokenizer, f: Tensor, tmp_path: Path) -> None:
    """What torch does on a processor without AVX stands in for another machine."""
    code = (
        f"import sys, numpy; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_reproducible as t\n"
        f"one = t.load_tokenizer(t.get(t.TARGET), 'inverse')\n"
        f"numpy.save({str(tmp_path / 'scores.npy')!r}, t.scores(one, t.features(one)))"
    )
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": "default"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    require_alike(scores(tokenizer, f), np.load(tmp_path / "scores.npy"), 0.1)


@pytest.mark.long
def test_a_run_gives_the_same_bits_whatever_the_batches_workers_and_threads(tmp_path: Path) -> None:
    found = []
    for threads, options in ((1, ["--batch-size", "1"]), (2, ["--batch-size", "64"]), (2, ["--workers", "2"])):
        out, before = tmp_path / str(len(found)), torch.get_num_threads()
        torch.set_num_threads(threads)
        detectors = "quantloss,encloss,combined,reconstruction"
        command = ["run", "--target", TARGET, "--encoder", "inverse", "--attack", "none", "--detector", detectors]
        try:
            assert main([*command, "--limit", "2", "--out", str(out), *options]) == 0
        finally:
            torch.set_num_threads(before)
        found.append(stored(out))
    assert found[0]
    assert found[1] == found[0]
    assert found[2] == found[0]


def stored(run: Path) -> dict[tuple[str, str, str], float]:
    """Every score of a run by part, image and name."""
    rows = {}
    for path in (run / "scores").rglob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            rows[path.name, row["image_id"], row["score_name"]] = row["score"]
    return rows
