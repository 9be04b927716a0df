"""What a task needs and this machine lacks is told in full, with commands that can be given as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import Toys

from iarbench.cli import main, parser
from iarbench.harness import costs
from iarbench.images.decode import encode
from iarbench.images.image_set import ImageSet
from iarbench.images.record import ImageRecord
from iarbench.models import variants
from iarbench.results.rows import read_rows
from iarbench.testing import toy_records, write_toy_family

TARGETS = ("llamagen-xl-384", "rar-xxl", "var-d30", "taming-cin", "infinity-2b")
REAL = ("imagenet", "laion-pop", "coco")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))


@pytest.mark.usefixtures("empty_cache")
def test_the_papers_evaluation_says_everything_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--task", "iclr2026", "--dry-run", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    missing = found["missing"]
    weights = {one["what"].partition(" for ")[0]: one for one in missing if one["kind"] == "weights"}
    expected = {
        file.name
        for name in TARGETS
        for part, file in variants.get(name).files.items()
        if part in ("tokenizer", "transformer")
    }
    trained = {f"{name}-{encoder}.safetensors" for name in TARGETS for encoder in ("inverse", "inverse-aug")}
    assert set(weights) == expected | trained | {"google/flan-t5-xl"}
    assert weights["var_d30.pth"]["size"] == "8.0 GB"
    assert weights["var_d30.pth"]["where"] == "https://huggingface.co/FoundationVision/var"
    assert weights["net2net.ckpt"]["where"].startswith("https://app.koofr.net/")
    images = [one for one in missing if one["kind"] == "images"]
    assert sorted(one["what"] for one in images) == sorted(
        f"{source}/{split}: 1000 images" for source in (*TARGETS, *REAL) for split in ("test", "calibration")
    )
    order = [one["what"].partition("/")[0] for one in images]
    assert max(map(order.index, REAL)) < min(map(order.index, TARGETS))  # captions are prompts
    for one in missing:
        words = shlex.split(one["command"])
        if words[0] == "iarbench":
            parser().parse_args(words[1:])  # exits where a command cannot be given so
    assert "disk: 45.0 GB of weights, 4.6 GB of images" in found["estimate"][-1]
    assert "NVIDIA A40" in found["estimate"][0]


@pytest.mark.usefixtures("empty_cache")
def test_a_weight_file_that_is_there_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").mkdir()
    (tmp_path / "w/var_d30.pth").touch()
    (tmp_path / "w/var-d30-inverse.safetensors").touch()
    target = ["--target", "var-d30", "--weights", "w", "--dry-run"]
    assert main(["run", "--task", "iclr2026", *target]) == 1
    out = capsys.readouterr().out
    assert "vae_ch160v4096z32.pth for var-d30 (tokenizer) (0.4 GB)" in out
    assert "do    iarbench finetune --generator var-d30 --count 50000 --augment --out w" in out
    assert "var_d30.pth" not in out
    assert "var-d30-inverse.safetensors" not in out
    # A task without recipes asks for weights alone.
    assert main(["run", "--task", "mini", *target]) == 1
    out = capsys.readouterr().out
    assert "weights: vae_ch160v4096z32.pth for var-d30" in out
    assert "images:" not in out


@pytest.mark.usefixtures("empty_cache")
def test_without_its_images_a_run_says_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--task", "iclr2026"]) == 2
    assert "`iarbench run --task iclr2026 --dry-run` says how its images are made" in capsys.readouterr().err


def photograph(number: int, source: str, split: str) -> ImageRecord:
    pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    return ImageRecord.make(
        encode(Image.fromarray(pixels), "png"), image_id=f"{source}/{split}/{number}", source=source, split=split
    )


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Toys under the names of the paper's models, with a set of theirs and of noise, in sets/iclr2026."""
    monkeypatch.chdir(tmp_path)
    offsets = {name: 10 * place for place, name in enumerate(TARGETS)}
    family = write_toy_family(tmp_path / "family", offsets)
    known = variants._all()
    toys = {one.name: one for one in variants.read_family(family / "toy.yaml")}
    monkeypatch.setattr(variants, "_all", lambda: replace_variants(known, toys))
    (tmp_path / "weights").mkdir()
    for name in TARGETS:
        shutil.copy(family / f"{name}-inverse.safetensors", tmp_path / f"weights/{name}-inverse-aug.safetensors")
    for place, split in enumerate(("test", "calibration")):
        for number, name in enumerate(TARGETS):
            made = toy_records(12, name, split, seed=100 * place + number, offset=offsets[name])
            ImageSet.write(made, tmp_path / f"sets/iclr2026/{name}-{split}")
        for number, name in enumerate(REAL):
            seeds = range(1000 * number + 100 * place, 1000 * number + 100 * place + 12)
            ImageSet.write(
                (photograph(seed, name, split) for seed in seeds), tmp_path / f"sets/iclr2026/{name}-{split}"
            )
    return tmp_path


def replace_variants(known: variants._Known, toys: dict[str, variants.Variant]) -> variants._Known:
    return known._replace(variants=known.variants | toys)


@pytest.mark.long
def test_the_papers_evaluation_runs_to_the_end_on_stand_ins(
    stand_ins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--task", "iclr2026", "--weights", "weights", "--device", "cpu"]
    assert main([*command, "--dry-run"]) == 1
    out = capsys.readouterr().out
    assert "imagenet/test: 1000 images, 12 are there (130 MB)" in out
    assert "weights:" not in out  # every one is there
    assert main([*command, "--detector", "quantloss", "--quiet"]) == 0
    rows = read_rows(stand_ins / "runs/iclr2026/results.jsonl")
    attacks = {
        *("none", "jpeg60", "noise0.05", "blur9", "resize0.5", "brightness1.6", "contrast2", "saturation2", "jpeg96")
    }
    assert {row.attack for row in rows} == attacks
    assert {row.target for row in rows} == set(TARGETS)
    assert {row.encoder for row in rows} == {"original", "inverse", "inverse-aug"}
    assert set(REAL) <= {row.nonmember_set for row in rows}
    best = [
        row.value
        for row in rows
        if (row.metric, row.attack, row.encoder, row.detector) == ("auroc", "none", "inverse", "quantloss")
        and row.nonmember_set in REAL
    ]
    assert best == [1.0] * len(best)
    assert len(best) == 15


def test_a_packaged_image_set_is_looked_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "tasks/mini.yaml").read_text()
    recipe = "sets:\n  generated: {images: {test: 1}, command: make}\n  flickr: {images: {test: 1000000}}\n"
    task = tmp_path / "mini.yaml"
    task.write_text(text + recipe)
    assert main(["run", "--task", str(task), "--dry-run"]) == 1
    out = capsys.readouterr().out
    assert "1 things are missing" in out
    assert re.search(r"images: flickr/test: 1000000 images, \d+ are there", out)


def test_a_task_that_has_everything_shows_its_plan(
    toy_family: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = "sets:\n  generated: {images: {test: 20, calibration: 20}, command: make}\n  noise: {images: {test: 25}}\n"
    task = tmp_path / "toys.yaml"
    task.write_text(toy_family.task.read_text() + recipe)
    command = ["run", "--task", str(task), "--out", str(tmp_path / "out"), "--dry-run", "--quiet"]
    assert main(command) == 0
    assert "to do" in capsys.readouterr().out
    task.write_text(toy_family.task.read_text() + recipe.replace("test: 25", "test: 26, other: 3"))
    assert main(command) == 1
    out = capsys.readouterr().out
    assert "images: noise/test: 26 images, 25 are there" in out
    assert "images: noise/other: 3 images" in out
    task.write_text(toy_family.task.read_text() + recipe.replace("command: make", 'command: "make {that}"'))
    assert main(command) == 2
    assert "sets: the command of generated cannot be filled in ('that')" in capsys.readouterr().err


def test_the_cost_of_the_token_search_is_the_measured_one() -> None:
    measured = json.loads((ROOT / "benchmarks/results/token_search_full.json").read_text())
    assert round(measured["known_tokens_noise_0.0"]["ep"]["seconds_an_image"], 2) == costs.VAR_SEARCH.seconds
