"""What only a GPU shows: trainings run there, minis make the same images, and scores are the CPU's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from iarbench.cli import main
from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.results.scores import load_scores

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]

FAMILIES = ["infinity-mini", "llamagen-mini", "rar-mini", "taming-mini", "var-mini"]
ROUNDING = 2e-4
"""Largest relative difference of a score. On an H100: 9e-5 for encloss, a ratio of small numbers, 2.7e-5 elsewhere."""
TIPPED = 0.1
"""Fraction of images whose score may differ more where tokens are chosen scale after scale: rounding tips a near tie,
and all finer scales follow (one greedy score of var-mini by 1 % on an H100); a token search amplifies it."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four 64-pixel colour gradients of two classes."""
    rng, rows = np.random.default_rng(0), []
    for corners in rng.uniform(0, 255, (24, 2, 2, 3)).astype(np.uint8):
        buffer = io.BytesIO()
        Image.fromarray(corners).resize((64, 64), Image.Resampling.BILINEAR).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    path = tmp_path_factory.mktemp("pictures") / "train.parquet"
    pq.write_table(pa.table({"image": rows, "label": [number % 2 for number in range(24)]}), path)
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of generators that every command knows."""
    monkeypatch.setenv("IARBENCH_GENERATORS", str(tmp_path / "own"))
    variants._all.cache_clear()
    yield tmp_path / "own"
    variants._all.cache_clear()


@pytest.mark.parametrize("like", FAMILIES)
def test_everything_trains_on_a_gpu(pictures: Path, own: Path, like: str) -> None:
    common = ["--name", "mine", "--out", str(own), "--images", str(pictures), "--device", "cuda"]
    phases = ["--like", like, "--steps", "3", "--adversarial-steps", "2", "--latent-weight", "0.1"]
    assert main(["train", "tokenizer", *common, *phases]) == 0
    assert main(["train", "transformer", *common, "--steps", "2"]) == 0
    variants._all.cache_clear()
    finetune = ["finetune", "--generator", "mine", "--count", "8", "--epochs", "1", "--out", str(own)]
    assert main([*finetune, "--device", "cuda"]) == 0
    # The same commands on the CPU find the work of the GPU done.
    assert main(["train", "tokenizer", *common[:-1], "cpu", *phases]) == 0
    assert (
        main(["generate", "--generator", "mine", "--count", "2", "--out", str(own / "made"), "--device", "cuda"]) == 0
    )


def test_a_smaller_decoder_trains_on_a_gpu(pictures: Path, own: Path) -> None:
    words = ["train", "decoder", "--like", "llamagen-mini", "--name", "small", "--images", str(pictures)]
    words += ["--decoder", "{ch: 8, ch_mult: [1, 1, 2, 2], num_res_blocks: 0, norm_groups: 4}"]
    assert main([*words, "--steps", "2", "--adversarial-steps", "2", "--out", str(own), "--device", "cuda"]) == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_minis_make_the_same_images_on_a_gpu(tmp_path: Path, name: str) -> None:
    for device in ("cpu", "cuda"):
        words = ["generate", "--generator", name, "--count", "4", "--out", str(tmp_path / device), "--device", device]
        assert main(words) == 0
    on_cpu, on_gpu = (ImageSet.open(tmp_path / device) for device in ("cpu", "cuda"))
    assert on_cpu.fingerprint == on_gpu.fingerprint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@cache
def scores(root: Path, device: str, precision: str) -> pd.DataFrame:
    """The scores of a small run of all families, by score and image."""
    out = root / f"{device}-{precision}"
    words = ["run", "--detector", "quantloss", "--detector", "encloss", "--attack", "none", "--limit", "6", "--quiet"]
    words += [word for name in FAMILIES for word in ("--target", name)]
    assert main([*words, "--out", str(out), "--device", device, "--precision", precision]) == 0
    found = load_scores(out)
    assert set(found["precision"]) == {precision}
    return found.set_index(["target", "encoder", "detector", "score_name", "image_id"])["score"].sort_index()


def relative(on_cpu: pd.Series, on_gpu: pd.Series) -> pd.Series:
    return ((on_gpu - on_cpu) / on_cpu).abs()


def by_scales(change: pd.Series) -> np.ndarray:
    """Whether the score rests on tokens that are chosen scale after scale."""
    index = change.index
    return index.get_level_values("target").isin(["infinity-mini", "var-mini"]) & (
        index.get_level_values("detector") == "quantloss"
    )


def test_scores_on_a_gpu_are_those_on_the_cpu(folder: Path) -> None:
    change = relative(scores(folder, "cpu", "float32"), scores(folder, "cuda", "float32"))
    chosen = by_scales(change)
    worst = change[~chosen].groupby(["target", "encoder", "score_name"]).max()
    assert worst.max() <= ROUNDING, worst.sort_values().tail(5).to_string()
    tipped = (change[chosen] > ROUNDING).groupby(["target", "encoder", "score_name"]).mean()
    assert tipped.max() <= TIPPED, tipped.to_string()


def test_bfloat16_moves_scores_a_little(folder: Path) -> None:
    change = relative(scores(folder, "cuda", "float32"), scores(folder, "cuda", "bfloat16"))
    assert change[change.index.get_level_values("detector") == "quantloss"].median() < 0.05
    assert change.median() > 1e-5  # it did compute in bfloat16
